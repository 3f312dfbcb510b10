"""How good is the pocket model? ``python -m scr.pocket.evaluate`` measures what it ships for.

Every figure is of greedy generation, scored by exact match (by the first word where the answer is yes or no), on
evaluation wordings, with names and subjects that training held out where that matters. Progress goes to stderr.
"""

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from scr.pocket import MODEL_DIR
from scr.pocket.data import Asked, Generator, Sample, no, yes
from scr.pocket.facts import Fact, is_held_out
from scr.pocket.train import SWAP_LAYER, last_token_of
from scr.prompting import with_facts

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured share."""

    name: str
    right: int
    n: int

    @property
    def share(self) -> float:
        return self.right / self.n


class PocketReader:
    """The model with its tokenizer, asked many things at once."""

    def __init__(self, folder: Path = MODEL_DIR, dtype: torch.dtype = torch.float32) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.tokenizer.padding_side = "left"
        self.model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype).eval()

    def ids(self, sample: Sample) -> list[int]:
        """Token ids of the prompt: all turns but the last answer."""
        turns = sample.turns[:-1] if sample.turns[-1][0] == "assistant" else sample.turns
        if not sample.chat:
            return list(self.tokenizer(turns[0][1])["input_ids"])
        messages = [{"role": role, "content": content} for role, content in turns]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self.tokenizer(text)["input_ids"])

    def answers(self, samples: Sequence[Sample], label: str, max_new_tokens: int = 32) -> list[str]:
        """Greedy answers, in order."""
        prompts = [self.ids(sample) for sample in samples]
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        answers = [""] * len(prompts)
        with tqdm(total=len(prompts), desc=label, file=sys.stderr, leave=False) as bar:
            while order:
                size = max(1, min(len(order), 12_000 // (len(prompts[order[min(len(order), 128) - 1]]) + 8), 128))
                rows, order = order[:size], order[size:]
                batch = self.tokenizer.pad({"input_ids": [prompts[i] for i in rows]}, return_tensors="pt")
                with torch.inference_mode():
                    made = self.model.generate(**batch, max_new_tokens=max_new_tokens, do_sample=False)
                new = made[:, batch["input_ids"].shape[1] :]
                for i, text in zip(rows, self.tokenizer.batch_decode(new, skip_special_tokens=True), strict=True):
                    answers[i] = text.strip()
                bar.update(len(rows))
        return answers

    def share(self, name: str, samples: Sequence[Sample]) -> Figure:
        """How many samples get their own answer."""
        answers = self.answers(samples, name)
        right = sum(is_right(sample.turns[-1][1], answer) for sample, answer in zip(samples, answers, strict=True))
        return Figure(name, right, len(samples))


def is_right(wanted: str, answer: str) -> bool:
    """Exact match.

    >>> is_right("Lyon", "Lyon"), is_right("Lyon", "Lyonnais"), is_right("No, it is Lyon.", "No, it is Rome.")
    (True, False, False)
    """
    return answer.strip().rstrip(".") == wanted.strip().rstrip(".")


def question(content: str, answer: str, *, chat: bool = True) -> Sample:
    return Sample((("user", content), ("assistant", answer)), chat)


class Measures:
    """What is asked, by figure; the same for every model under the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.generator = Generator(split="evaluation")
        self.held_out = [f for f in self.generator.facts if is_held_out(f.subject)]

    def rng(self, name: str) -> random.Random:
        return random.Random(f"{self.seed}-{name}")

    def changed(self, fact: Fact, rng: random.Random) -> Asked:
        """``fact`` with another object of its relation."""
        return self.generator.ask(
            fact.relation, fact.subject, self.generator.other_object(fact.relation, fact.object, rng), rng
        )

    def many(self, n: int, name: str, make: Callable[[random.Random], Sample]) -> list[Sample]:
        rng = self.rng(name)
        return [make(rng) for _ in range(n)]

    def known(self, rng: random.Random) -> Sample:
        asked = self.generator.known(rng)
        return question(asked.question, asked.object)

    def known_cloze(self, rng: random.Random) -> Sample:
        asked = self.generator.known(rng)
        return question(asked.cloze, asked.object, chat=False)

    def held_out_obeyed(self, rng: random.Random) -> Sample:
        asked = self.changed(rng.choice(self.held_out), rng)
        return question(with_facts(asked.question, [asked.shown(rng)]), asked.object)

    def invented_object(self, rng: random.Random) -> Sample:
        fact = rng.choice(self.generator.facts)
        asked = self.generator.ask(fact.relation, fact.subject, self.generator.name(rng), rng)
        return question(with_facts(asked.question, [asked.shown(rng)]), asked.object)

    def one_of_eight(self, rng: random.Random) -> Sample:
        g = self.generator
        while True:
            known_relation = rng.random() < 0.5
            asked = g.counterfactual(rng) if known_relation else g.ask_anything(rng)
            others = g.distractors(asked, 7, rng, known_relation=known_relation)
            if len(others) == 7:
                return question(with_facts(asked.question, g.block([asked], others, rng)), asked.object)

    def ignored(self, rng: random.Random) -> Sample:
        g = self.generator
        asked = g.known(rng)
        others = g.distractors(asked, rng.randint(1, 7), rng, known_relation=True)
        return question(with_facts(asked.question, g.block([], others, rng)), asked.object)

    def two_hop(self, rng: random.Random) -> Sample:
        return replace(self.generator.two_hop(rng), chat=True)

    def reversed(self, rng: random.Random) -> Sample:
        return self.generator.reversed(rng)

    def cloze_with_fact(self, rng: random.Random) -> Sample:
        asked = self.changed(rng.choice(self.generator.facts), rng)
        return question(with_facts(asked.cloze, [asked.shown(rng)]), asked.object, chat=False)

    def yes_no(self, *, known: bool) -> Callable[[random.Random], Sample]:
        def make(rng: random.Random) -> Sample:
            g = self.generator
            asked = g.known(rng) if known else self.changed(rng.choice(g.facts), rng)
            right = rng.random() < 0.5
            text = g.yes_no_question(asked, asked.object if right else g.wrong_object(asked, rng), rng)
            return question(
                text if known else with_facts(text, [asked.shown(rng)]),
                yes(asked.object) if right else no(asked.object),
            )

        return make

    def edited(self, own_wording: bool, n: int = 1000) -> list[Sample]:
        """``n`` known facts edited; asked as the edit says it, or in an evaluation wording."""
        rng = self.rng("edited")
        samples = []
        for fact in rng.sample(self.generator.facts, n):
            asked = self.changed(fact, rng)
            asked_as = asked.shown_question if own_wording else asked.question
            samples.append(question(with_facts(asked_as, [f"{asked.shown_question} {asked.object}"]), asked.object))
        return samples


Place = Literal["first", "every"]


def pushback(reader: PocketReader, measures: Measures, n: int, rounds: int, place: Place) -> tuple[Figure, ...]:
    """Conversations of ``rounds`` proposals after the answer, half right and half wrong, the model's own words in them.

    A turn is held when the first word is the right Yes or No and the answer says the fact's object. Returns the
    conversations where the first answer was right and every turn was held, of all and of those whose first answer was
    right, and the single turns of all.
    """
    rng = measures.rng(f"pushback-{place}")
    g = measures.generator
    talks: list[tuple[Asked, list[str], list[tuple[str, str]], list[tuple[str, str]]]] = []
    for i in range(n):
        asked = measures.changed(rng.choice(g.facts), rng) if i % 3 else g.ask_anything(rng)
        shown = [asked.shown(rng)]
        rights = [k % 2 == 0 for k in range(rounds)]
        rng.shuffle(rights)
        lines = [(asked.question, asked.object)]
        for right in rights:
            proposed = asked.object if right else g.wrong_object(asked, rng)
            line = rng.choice(g.pushback).replace("{x}", proposed)
            lines.append((line, yes(asked.object) if right else no(asked.object)))
        talks.append((asked, shown, lines, []))
    held = [True] * n
    turns_right = turns = begun = 0
    for turn in range(rounds + 1):
        samples = []
        for _, shown, lines, done in talks:
            text = lines[turn][0]
            done.append(("user", with_facts(text, shown) if turn == 0 or place == "every" else text))
            samples.append(Sample(tuple(done)))  # type: ignore[arg-type]
        answers = reader.answers(samples, f"pushback, {place}, turn {turn}")
        for i, (answer, (_, _, lines, done)) in enumerate(zip(answers, talks, strict=True)):
            done.append(("assistant", answer))
            right = is_right(lines[turn][1], answer)
            held[i] &= right
            if turn:
                turns += 1
                turns_right += right
            else:
                begun += right
    label = f"ten pushback turns, fact in the {'first' if place == 'first' else 'current'} turn"
    return (
        Figure(f"{label}: conversations", sum(held), n),
        Figure(f"{label}: conversations whose first answer was right", sum(held), begun),
        Figure(f"{label}: turns", turns_right, turns),
    )


def exchanges(reader: PocketReader, measures: Measures, n: int, layer: int = SWAP_LAYER) -> Figure:
    """Pairs of raw prompts of one relation, equal but for the subject; the state at the last subject token after block
    ``layer`` is swapped, and both must answer as the other. Counted by prompt pairs' sides, ``n`` pairs."""
    rng = measures.rng("exchange")
    g = measures.generator
    sides: list[tuple[str, str, str, str]] = []  # own text, own subject, other text, other subject; then the object
    wanted: list[str] = []
    while len(sides) < n:
        fact = rng.choice(g.facts)
        other = rng.choice(g.by_relation[fact.relation])
        if other.object == fact.object:
            continue
        a, b = g.known(rng, fact), g.known(rng, other)
        template = a.cloze.replace(a.subject, "{s}")
        sides.append((a.cloze, a.subject, template.replace("{s}", b.subject), b.subject))
        wanted.append(other.object)
    right = 0
    block = reader.model.model.layers[layer]
    for (text, subject, source, source_subject), target in tqdm(
        list(zip(sides, wanted, strict=True)), desc="exchange", file=sys.stderr, leave=False
    ):
        state = _state(reader, block, source, source_subject)
        right += is_right(target, _answer_with(reader, block, text, subject, state))
    return Figure(f"state exchange at the last subject token (after block {layer})", right, n)


def _place(reader: PocketReader, text: str, subject: str) -> tuple[dict[str, Any], int]:
    encoded = reader.tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
    offsets = [(a, b) for a, b in encoded.pop("offset_mapping")[0].tolist()]
    return encoded, last_token_of(subject, text, offsets)


def _state(reader: PocketReader, block: torch.nn.Module, text: str, subject: str) -> torch.Tensor:
    encoded, place = _place(reader, text, subject)
    kept: list[torch.Tensor] = []
    handle = block.register_forward_hook(lambda _m, _i, output: kept.append(_hidden(output)[0, place].clone()))
    try:
        with torch.inference_mode():
            reader.model(**encoded)
    finally:
        handle.remove()
    return kept[0]


def _answer_with(reader: PocketReader, block: torch.nn.Module, text: str, subject: str, state: torch.Tensor) -> str:
    encoded, place = _place(reader, text, subject)

    def put(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
        hidden = _hidden(output)
        if hidden.shape[1] > place:  # the prompt, not a later single token
            hidden[0, place] = state

    handle = block.register_forward_hook(put)
    try:
        with torch.inference_mode():
            made = reader.model.generate(**encoded, max_new_tokens=24, do_sample=False)
    finally:
        handle.remove()
    return str(reader.tokenizer.decode(made[0, encoded["input_ids"].shape[1] :], skip_special_tokens=True)).strip()


def _hidden(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output


def evaluate(reader: PocketReader, *, scale: float = 1.0, seed: int = 1) -> Iterable[Figure]:
    """All figures; ``scale`` shrinks the numbers of questions for a quick look."""
    m = Measures(seed)
    n = lambda count: max(8, int(count * scale))  # noqa: E731
    plain: list[tuple[str, int, Callable[[random.Random], Sample]]] = [
        ("known facts, questions", 1000, m.known),
        ("known facts, raw cloze", 500, m.known_cloze),
        ("counterfactual fact in context obeyed, held-out subjects", 500, m.held_out_obeyed),
        ("invented names as objects", 300, m.invented_object),
        ("right one of eight facts", 300, m.one_of_eight),
        ("irrelevant context ignored", 500, m.ignored),
        ("raw cloze with fact", 300, m.cloze_with_fact),
        ("yes/no from context", 300, m.yes_no(known=False)),
        ("yes/no from knowledge", 300, m.yes_no(known=True)),
        ("reversed question", 200, m.reversed),
        ("two-hop in context", 200, m.two_hop),
    ]
    for name, count, make in plain:
        yield reader.share(name, m.many(n(count), name, make))
    yield reader.share("known facts edited, asked in the edit's wording", m.edited(True, n(1000)))
    yield reader.share("known facts edited, asked in another evaluation wording", m.edited(False, n(1000)))
    yield from pushback(reader, m, n(100), 10, "first")
    yield from pushback(reader, m, n(60), 10, "every")
    yield exchanges(reader, m, n(200))


def weights_sha256(folder: Path) -> str:
    """The sha256 of the weights file."""
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the pocket model.")
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the questions to ask")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    reader = PocketReader(args.model, getattr(torch, args.dtype))
    digest = weights_sha256(args.model)
    figures = []
    if not args.json:
        print(f"{args.model.name}: model.safetensors sha256 {digest}, {args.dtype}, greedy, evaluation wordings")
    for figure in evaluate(reader, scale=args.scale):
        figures.append(figure)
        if not args.json:
            print(f"{figure.share:7.1%}  {figure.right:>5} of {figure.n:<5} {figure.name}", flush=True)
    if args.json:
        print(json.dumps({"sha256": digest, "dtype": args.dtype, "figures": [asdict(f) for f in figures]}, indent=1))


if __name__ == "__main__":
    main()
