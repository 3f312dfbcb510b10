"""Where does the question stand in a row of tokens?"""

from typing import Any

import pytest

from scr.prompting import facts_block, with_facts
from scr.turns import TurnFinder

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
HEADERS = (
    "{{ '<|begin|>' }}{% for m in messages %}"
    "{{ '<|head|>' + m['role'] + '<|/head|>\n\n' + m['content'] | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\n\n' }}{% endif %}"
)
BRACKETS = (
    "{{ '<s>' }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% elif m['role'] == 'assistant' %}{{ ' ' + m['content'] + '</s>' }}{% endif %}{% endfor %}"
)
TURNS = (
    "{{ '<bos>' }}{% for m in messages %}{{ '<start_of_turn>' + ('model' if m['role'] == 'assistant' else m['role']) "
    "+ '\n' + m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ m['role'] | upper + ': ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
SYSTEM_FIRST = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}" + CHATML
)
TEMPLATES = {
    "chatml": (CHATML, ["<|im_end|>", "<|pad|>", "<|im_start|>"]),
    "a system turn by default": (SYSTEM_FIRST, ["<|im_end|>", "<|pad|>", "<|im_start|>"]),
    "headers": (HEADERS, ["<|eot|>", "<|pad|>", "<|begin|>", "<|head|>", "<|/head|>"]),
    "brackets": (BRACKETS, ["</s>", "<pad>", "<s>", "[INST]", "[/INST]"]),
    "turns": (TURNS, ["<end_of_turn>", "<pad>", "<bos>", "<start_of_turn>"]),
    "plain text": (PLAIN, ["</s>", "<pad>"]),
}
CONVERSATION = [
    {"role": "user", "content": "Who wrote Hamlet?"},
    {"role": "assistant", "content": "Shakespeare."},
    {"role": "user", "content": "What is the capital of France?"},
]


@pytest.fixture(params=TEMPLATES, ids=list(TEMPLATES))
def chat(request: pytest.FixtureRequest, make_tokenizer: Any) -> Any:
    return make_tokenizer(*TEMPLATES[request.param])


def ids_of(tokenizer: Any, messages: list[dict[str, str]]) -> list[int]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def test_the_query_is_the_last_user_turn(chat: Any) -> None:
    assert TurnFinder(chat).find(ids_of(chat, CONVERSATION)).query == "What is the capital of France?"
    assert TurnFinder(chat).find(ids_of(chat, CONVERSATION[:1])).query == "Who wrote Hamlet?"


def test_facts_put_at_insert_at_read_as_if_the_user_turn_had_held_them(chat: Any) -> None:
    row = ids_of(chat, CONVERSATION)
    turn = TurnFinder(chat).find(row)
    block = chat(facts_block(["The capital of France is Lyon."]), add_special_tokens=False)["input_ids"]
    shown = chat.decode([*turn.head, *block, *turn.tail])
    content = with_facts(CONVERSATION[-1]["content"], ["The capital of France is Lyon."])
    written = [*CONVERSATION[:-1], {"role": "user", "content": content}]
    assert shown == chat.apply_chat_template(written, tokenize=False, add_generation_prompt=True)


def test_text_that_looks_like_a_control_token_is_not_taken_for_one(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer()
    row = ids_of(tokenizer, [{"role": "user", "content": "Hello PLACE there"}])
    fake = tokenizer("<|user|>What?", add_special_tokens=False, split_special_tokens=True)["input_ids"]
    end = row.index(tokenizer.convert_tokens_to_ids("<|end|>"))
    assert TurnFinder(tokenizer).find([*row[:end], *fake, *row[end:]]).query == "Hello PLACE there<|user|>What?"


def test_without_a_template_the_query_is_the_row_without_special_tokens(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(None)
    ids = tokenizer("The capital of France is")["input_ids"]
    turn = TurnFinder(tokenizer).find([tokenizer.eos_token_id, *ids])
    assert (turn.query, turn.head) == ("The capital of France is", (tokenizer.eos_token_id,))


def test_a_chat_model_given_raw_text_is_asked_the_whole_row(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer()
    turn = TurnFinder(tokenizer).find(tokenizer("The capital of France is")["input_ids"])
    assert (turn.query, turn.head, turn.recognised) == ("The capital of France is", (), True)


def test_an_empty_row_has_an_empty_query(make_tokenizer: Any) -> None:
    assert TurnFinder(make_tokenizer()).find([]).query == ""


def test_a_template_that_refuses_is_read_as_plain_text(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer("{{ raise_exception('no') }}")
    assert TurnFinder(tokenizer).find(tokenizer("Hello there")["input_ids"]).query == "Hello there"


def test_a_row_that_starts_with_the_user_turn_is_recognised(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(*TEMPLATES["a system turn by default"])
    row = tokenizer("<|im_start|>user\nWhat is it?<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    assert TurnFinder(tokenizer).find(row).query == "What is it?"


def test_markup_inside_a_question_does_not_end_it(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(*TEMPLATES["chatml"])
    tokenizer.add_tokens(["<b>", "</b>"])
    row = ids_of(tokenizer, [{"role": "user", "content": "In <b>Europe</b>, what is it?"}])
    assert "what is it?" in TurnFinder(tokenizer).find(row).query


def test_a_question_that_starts_with_line_breaks_keeps_its_header_whole(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer(*TEMPLATES["chatml"])
    tokenizer.add_tokens(["\n\n\n"])
    row = ids_of(tokenizer, [{"role": "user", "content": "\n\nWhat is it?"}])
    turn = TurnFinder(tokenizer).find(row)
    assert turn.query == "What is it?"
    assert tokenizer.decode(turn.head).endswith("<|im_start|>user\n")
    assert tokenizer.decode([*turn.head, *turn.tail]) == tokenizer.decode(row)


def test_a_row_that_the_template_does_not_explain_offers_no_place_for_facts(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer()
    row = tokenizer("<|assistant|>Paris.<|end|><|system|>Go on.")["input_ids"]
    assert not TurnFinder(tokenizer).find(row).recognised


def test_a_token_that_eats_the_space_after_it_does_not_hide_the_header(make_tokenizer: Any) -> None:
    from transformers import AddedToken

    template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    )
    tokenizer = make_tokenizer(template, ["<|end|>", "<|pad|>"])
    roles = [AddedToken(t, rstrip=True, special=True) for t in ("<|user|>", "<|assistant|>", "<|system|>")]
    tokenizer.add_special_tokens({"additional_special_tokens": roles})
    row = ids_of(tokenizer, CONVERSATION)
    assert TurnFinder(tokenizer).find(row).query == "What is the capital of France?"


def test_added_words_that_only_help_to_split_text_are_no_control_tokens(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer()
    tokenizer.add_tokens(['- "', "\n\n", "Lyon", "<tool_call>"])
    found = TurnFinder(tokenizer).special_tokens
    assert '- "' not in found and "Lyon" not in found and "<tool_call>" in found
