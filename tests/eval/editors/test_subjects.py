"""The subject's last token, wherever the subject stands."""

from typing import Any

import pytest

from eval.editors.forms import target_ids
from eval.editors.subjects import flat_templates, requests, subject_row
from memory_store.edit import Edit
from memory_store.errors import ConfigError


def upto(tokenizer: Any, prompt: str, subject: str, template: str = "{}") -> str:
    row = subject_row(tokenizer, Edit(statement="", prompt=prompt, subject=subject), template)
    return str(tokenizer.decode(row.cut))


@pytest.mark.parametrize(
    ("prompt", "subject", "cut"),
    [
        ("Hamlet was written by", "Hamlet", "Hamlet"),
        ("The capital of France is", "France", "The capital of France"),
        ("The capital of France is", " France ", "The capital of France"),
        ("The capital of France", "France", "The capital of France"),
        ("France? France is in", "France", "France"),
        ("Frances likes France too", "France", "Frances likes France"),
        ("A café in Zürich is", "Zürich", "A café in Zürich"),
        ("In France's north", "France", "In France"),
    ],
)
def test_a_cut_sentence_ends_with_its_subject(prompt: str, subject: str, cut: str, tokenizer: Any) -> None:
    assert upto(tokenizer, prompt, subject) == cut


def other_tokenizer(kind: str) -> Any:
    """A tokenizer of another family, trained on a few lines."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    texts = ["The capital of France is Paris. Hamlet was written by", "A café in Zürich is grey. In France's north"] * 3
    special = ["<s>", "</s>", "<unk>"]
    options: dict[str, Any] = {"special_tokens": special, "show_progress": False, "vocab_size": 90}
    trainer: Any
    if kind == "wordpiece":
        inner = Tokenizer(models.WordPiece(unk_token="<unk>"))
        inner.normalizer = normalizers.BertNormalizer(lowercase=True)
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(**options)
    elif kind == "unigram":
        inner = Tokenizer(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        inner.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(unk_token="<unk>", **options)
    else:
        inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        inner.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(**options)
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "metaspace"])
@pytest.mark.parametrize(
    ("prompt", "subject"),
    [
        ("Hamlet was written by", "Hamlet"),
        ("The capital of France is", "France"),
        ("The capital of France is", " France"),
        ("The capital of France", "capital of France"),
        ("France is in France", "France"),
        ("A café in Zürich is", "Zürich"),
        ("In France's north", "France"),
    ],
)
def test_other_families_of_tokenizers_find_the_same_word(kind: str, prompt: str, subject: str) -> None:
    tokenizer = other_tokenizer(kind)
    row = subject_row(tokenizer, Edit(statement="", prompt=prompt, subject=subject))
    assert list(row.ids) == tokenizer(prompt)["input_ids"] and row.ids[0] == tokenizer.bos_token_id
    offsets = tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
    end = prompt.index(subject.strip()) + len(subject.strip())
    assert offsets[row.subject_last][0] < end <= offsets[row.subject_last][1]
    assert all(start >= end for start, _ in offsets[row.subject_last + 1 :])


def test_a_subject_in_the_context_is_not_the_one_that_counts(tokenizer: Any) -> None:
    assert upto(tokenizer, "France is", "France", "France. {}") == "France. France"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Edit(statement="", prompt="The capital is", subject="France", target_new="x"), "does not stand in the prompt"),
        (Edit(statement="", prompt="The capital is", subject="", target_new="x"), "no subject"),
        (Edit(statement="", prompt="France is", subject="France", target_new="  "), "empty target"),
        (Edit(statement="A free fact."), "no prompt"),
    ],
)
def test_an_edit_without_its_parts_is_refused(edit: Edit, message: str, tokenizer: Any) -> None:
    with pytest.raises(ConfigError, match=message):
        requests(tokenizer, [edit], [["{}"]])


def test_a_target_that_tokenises_to_nothing_is_refused() -> None:
    class Silent:
        eos_token_id = unk_token_id = None

        def __call__(self, text: str, **options: Any) -> dict[str, list[int]]:
            return {"input_ids": [7]}

    with pytest.raises(ConfigError, match="tokenises to nothing"):
        target_ids(type("Mute", (Silent,), {"__call__": lambda *a, **k: {"input_ids": []}})(), "p", "x")


def test_a_slow_tokenizer_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ConfigError, match="load the fast tokenizer"):
        subject_row(Slow(), Edit(statement="", prompt="France is", subject="France"))


@pytest.mark.parametrize("groups", [[], [["a {}"]], [["{}"], ["no slot"]], [["{}", "{} {}"]]])
def test_unusable_templates_are_refused(groups: list[list[str]]) -> None:
    with pytest.raises(ConfigError, match="template"):
        flat_templates(groups)


def test_token_rows_are_those_of_the_published_code(golden: Any) -> None:
    trace = golden.json("first5_trace")
    for request, wanted in zip(requests(golden.tokenizer, golden.edits[:5], golden.templates), trace, strict=True):
        rows = [*request.rows, request.kl]
        assert [list(row.ids) for row in rows] == wanted["input_ids"]
        assert [row.subject_last for row in rows] == wanted["lookup_idx"]
        assert list(request.target) == wanted["target_ids"]
