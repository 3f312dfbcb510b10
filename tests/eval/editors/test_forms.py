"""Claims about the form in which an edit is written: where its words stand, and that it is heard where it is asked."""

import copy
from typing import Any

import pytest
import torch

from eval.editors.errors import ConfigError
from eval.editors.fine_tune import FineTune, FineTuneConfig
from eval.editors.forms import Chat, Form
from eval.editors.grace import Grace, GraceConfig
from eval.editors.lessons import lesson
from eval.editors.lora import Lora, LoraConfig
from eval.editors.subjects import requests, subject_row
from eval.editors.wise import Wise, WiseConfig
from eval.forced import row_likelihood
from memory_store.edit import Edit
from scr.pocket import MODEL_DIR

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INST = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)
THINKS = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ 'U: ' + m['content'] + '\n' }}"
    "{% else %}{{ 'A: <think>none</think>' + m['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'A: ' }}{% endif %}"
)
CAPITAL = Edit(statement="", edit_id="a", subject="France", prompt="The capital of France is", target_new="Berlin")


@pytest.fixture(params=["pocket", "chatml", "inst", "thinks"])
def chatting(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    """A tokenizer with a chat template: the built-in one's, or one of three families'."""
    if request.param == "pocket":
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(MODEL_DIR)
    return with_template(tokenizer, {"chatml": CHATML, "inst": INST, "thinks": THINKS}[request.param])


def with_template(tokenizer: Any, template: str) -> Any:
    found = copy.deepcopy(tokenizer)
    found.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    found.chat_template = template
    return found


def test_the_subject_is_found_in_the_user_turn_and_templates_stand_before_its_words(chatting: Any) -> None:
    form = Chat(chatting)
    for template, words in (("{}", "The capital of France"), ("The sky. {}", "The sky. The capital of France")):
        row = subject_row(chatting, CAPITAL, template, form)
        before = form.text("#").partition("#")[0]
        assert chatting.decode(row.cut).replace(" ", "") == (before + words).replace(" ", "")
        assert list(row.ids) == chatting(form.text(template.format(CAPITAL.prompt)))["input_ids"]


def test_the_answer_is_tokenised_as_the_assistants_words_and_ends_as_its_turn_ends(chatting: Any) -> None:
    form = Chat(chatting)
    (request,) = requests(chatting, [CAPITAL], [["{}"]], form)
    taught = lesson(chatting, CAPITAL, end_token=True, form=form)
    assert (taught.prompt, taught.target) == (request.prompts[0].ids, request.target)
    said = [{"role": "user", "content": CAPITAL.prompt}, {"role": "assistant", "content": "Berlin"}]
    if chatting.chat_template != THINKS:
        whole = chatting(chatting.apply_chat_template(said, tokenize=False))["input_ids"]
        own = [token for token in (*request.prompts[0].ids, *request.target)]
        # INST puts a space before the end that nobody has to say.
        assert whole[: len(own)] == own or [*whole[: len(own) - 1], whole[-1]] == own
    assert chatting.decode(request.target[:-1]).strip() == "Berlin"
    assert request.target[-1] in chatting.all_special_ids


def test_the_sentence_on_which_nothing_should_change_stands_in_the_template_too(chatting: Any) -> None:
    form = Chat(chatting)
    (request,) = requests(chatting, [CAPITAL], [["{}"]], form)
    assert list(request.kl.ids) == chatting(form.text("France is a"))["input_ids"]
    assert chatting.decode(request.kl.cut).endswith("France")


def test_raw_is_what_was_published(tokenizer: Any) -> None:
    (request,) = requests(tokenizer, [CAPITAL], [["{}"]])
    assert list(request.prompts[0].ids) == tokenizer(CAPITAL.prompt)["input_ids"]
    assert tokenizer.decode(request.target) == " Berlin"
    assert lesson(tokenizer, CAPITAL).target == request.target
    assert lesson(tokenizer, CAPITAL, end_token=True).target == (*request.target, tokenizer.eos_token_id)


def test_spaces_around_the_words_may_be_trimmed(tokenizer: Any) -> None:
    form = Chat(inst := with_template(tokenizer, INST))
    text, at = form.placed("  France is ")
    assert text[at + 2 :].startswith("France is [/INST]")
    spacious = Edit(statement="", subject="France", prompt="  The capital of France is ", target_new="Berlin")
    assert inst.decode(subject_row(inst, spacious, "{}", form).cut).endswith("The capital of France")


def test_a_template_that_rewrites_or_leaves_out_the_words_is_refused(tokenizer: Any) -> None:
    loud = with_template(tokenizer, "{% for m in messages %}{{ m['content'] | replace('a', '4') }}{% endfor %}")
    with pytest.raises(ConfigError, match="changes the words"):
        subject_row(loud, CAPITAL, "{}", Chat(loud))
    with pytest.raises(ConfigError, match="leaves out"):
        Chat(with_template(tokenizer, "{% for m in messages %}x{% endfor %}"))
    with pytest.raises(ConfigError, match="no chat template"):
        Chat(tokenizer)


def test_the_token_that_begins_a_text_stands_there_once(tokenizer: Any) -> None:
    from tokenizers import processors

    found = with_template(tokenizer, "{{ bos_token }}" + CHATML)
    found.add_special_tokens({"bos_token": "<|im_start|>"})
    assert (
        Chat(found).text("x").startswith("<|im_start|><|im_start|>user")
    )  # reading adds none, so the template's stays
    start = found.bos_token_id
    found.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", start)]
    )
    ids = found(Chat(found).text("x"))["input_ids"]
    assert ids[:3].count(start) == 2 and ids[2] != start


def written(name: str, model: Any, tokenizer: Any, form: Form) -> Any:
    if name == "ft-l":
        config = FineTuneConfig(layer=1, objective="prompt_last", lr=1e-2, num_steps=10)
        return FineTune(model, tokenizer, config, form=form)
    if name == "ft-m":
        config = FineTuneConfig(layer=1, objective="target_new", lr=1e-2, num_steps=150)
        return FineTune(model, tokenizer, config, form=form)
    if name == "lora":
        pytest.importorskip("peft", reason="peft is an extra")
        return Lora(model, tokenizer, LoraConfig(num_steps=10, lr=2e-2), form=form)
    if name == "grace":
        return Grace(model, tokenizer, GraceConfig(layer=1, num_steps=20), form=form)
    config = WiseConfig(layer=1, edit_lr=0.5, n_iter=10, alpha=0.0, beta=0.1, gamma=0.05, mask_ratio=1.0)
    return Wise(model, tokenizer, config, others=["Who wrote"], form=form)


def widened(model: Any, tokens: int) -> Any:
    """The model with rows for two more tokens, of the size of the others."""
    model.resize_token_embeddings(tokens, mean_resizing=False)
    with torch.no_grad():
        for weight in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
            weight[-2:] = -weight[:2]
    return model


@pytest.mark.parametrize("name", ["ft-l", "ft-m", "lora", "grace", "wise"])
def test_every_kind_of_editor_is_heard_where_it_wrote(name: str, make_model: Any, tokenizer: Any) -> None:
    chatting = with_template(tokenizer, CHATML)
    model = widened(make_model("llama"), len(chatting))
    form = Chat(chatting)
    row = chatting(form.text(CAPITAL.prompt))["input_ids"], form.answer_ids(chatting, CAPITAL.prompt, "Berlin")
    ((before, tokens, _),) = row_likelihood(model, [row])
    assert tokens == len(row[1])
    with written(name, model, chatting, form) as editor:
        editor.edit([CAPITAL])
        ((after, _, _),) = editor.row_likelihood([row])
    assert after > before + 0.3


def test_an_answer_written_in_the_template_stops_by_itself(make_model: Any, tokenizer: Any) -> None:
    chatting = with_template(tokenizer, CHATML)
    model = widened(make_model("llama"), len(chatting))
    form = Chat(chatting)
    # The template's own end, not the tokenizer's, is what the model is told to stop at.
    model.generation_config.eos_token_id = list(form.end_ids(chatting))
    assert form.end_ids(chatting) == (chatting.convert_tokens_to_ids("<|im_end|>"),)
    with written("ft-m", model, chatting, form) as editor:
        editor.edit([CAPITAL])
        (answer,) = editor.answer([form.text(CAPITAL.prompt)])
    assert answer.text == "Berlin"
