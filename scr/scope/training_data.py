"""Which judgements does the pair classifier learn from? Benchmark rows, and rows generated from them.

A *corpus* is one memory and the queries asked of it; queries of one corpus never meet the edits of another, so that a
label is never contradicted by an edit it did not know of. A *family* is where wordings come from; generated rows belong
to the family of the edit they were made from, so that a family can be left out whole.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from memory_store.edit import Edit
from scr.pocket.data import alike
from scr.pocket.facts import in_running_text, load_facts
from scr.pocket.wordings import Form, wordings
from scr.scope.features import fold, read
from scr.scope.numbered import another_number, number_otherwise
from scr.scope.thesaurus import GIVEN_NAMES, same_meaning, stem
from scr.scope.wordings import GENERAL, RELATIONS, SIBLINGS, everyday_edits

IN_KINDS = ("prompt", "paraphrase", "alias_surface", "yes_no")
OUT_KINDS = ("same_subject", "neighbor", "unrelated")


@dataclass(frozen=True, slots=True)
class Query:
    """A labelled query."""

    text: str
    kind: str
    family: str
    edit_ids: frozenset[str]
    """Edits that govern it; empty: none."""
    generated: bool = False
    about: str = ""
    """The subject it asks about, where known; keeps related rows in one fold."""
    weight: float = 1.0


@dataclass
class Corpus:
    """One memory and what is asked of it."""

    name: str
    edits: list[Edit]
    queries: list[Query] = field(default_factory=list)
    origin: str = ""
    """Of a small memory: the corpus it was drawn from; else its own name."""

    def __post_init__(self) -> None:
        self.origin = self.origin or self.name


def key_of(name: str) -> str:
    """A subject's normal form."""
    return " ".join(read(name).words)


def rows_of(file: Path) -> list[dict[str, Any]]:
    """Read JSON Lines."""
    with file.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def kept_back_subjects(folder: Path) -> frozenset[str]:
    """Normal forms of the subjects no training row may be about; each line is a name, or a JSON string."""
    names = []
    for line in (folder / "kept_back_subjects.txt").read_text(encoding="utf-8").splitlines():
        try:
            names.append(str(json.loads(line)))
        except json.JSONDecodeError:
            names.append(line)
    return frozenset(filter(None, map(key_of, names)))


def benchmark_edits(file: Path) -> list[Edit]:
    """The memory of the scope benchmark, its edit_ids kept."""
    return [
        Edit(
            edit_id=r["edit_id"],
            subject=r["subject"],
            prompt=r["prompt"],
            target_new=r["target_new"],
            statement=r["statement"],
            source=r["source"],
        )
        for r in rows_of(file)
    ]


def all_corpora(folder: Path, *, seed: int) -> list[Corpus]:
    """Every corpus, generated rows included; the benchmark's own comes first."""
    scope = _scope_corpus(folder)
    lead_ins = _lead_ins(folder)
    relations = _Relations(folder)
    made = [
        scope,
        _free_facts(scope),
        _mquake_corpus(folder, relations),
        _counterfact_corpus(folder, relations),
        *(_everyday_corpus(f"{seed}-{number}") for number in range(2)),
        _pocket_corpus(f"{seed}"),
    ]
    for number, corpus in enumerate(made):
        rng = random.Random(f"{seed}-{corpus.name}-{number}")
        corpus.queries += [q for q in _generated(corpus, relations, lead_ins, rng) if rng.random() < _KEPT]
    small = [
        memory
        for corpus, count in zip(made, (250, 40, 60, 40, 180, 180, 120), strict=True)
        for memory in _small_memories(corpus, count, random.Random(f"{seed}-small-{corpus.name}"))
    ]
    return made + small


def _small_memories(corpus: Corpus, count: int, rng: random.Random) -> Iterator[Corpus]:
    """Memories of one to twelve edits, as most users have: there the nearest edit is often the wrong one.

    Each is asked about one of its edits, about the same subject otherwise, and the questions of an edit that it does
    not hold but that has the same wording.
    """
    of_edit: dict[str, list[Query]] = defaultdict(list)
    of_subject: dict[str, list[Query]] = defaultdict(list)
    unrelated = []
    for q in corpus.queries:
        if q.kind == "unrelated":
            unrelated.append(q)
        elif q.edit_ids and q.kind in IN_KINDS and len(q.edit_ids) == 1:
            of_edit[min(q.edit_ids)].append(q)
        elif not q.edit_ids and q.kind in OUT_KINDS and q.about:
            of_subject[key_of(q.about)].append(q)
    of_template: dict[str, list[Edit]] = defaultdict(list)
    for e in corpus.edits:
        of_template[_template(e)].append(e)
    asked = [e for e in corpus.edits if of_edit[e.edit_id]]
    for number in range(count):
        edit = rng.choice(asked)
        others = [rng.choice(corpus.edits) for _ in range(rng.choice((0, 1, 2, 4, 7, 11)))]
        edits = list({e.edit_id: e for e in (edit, *others)}.values())
        rng.shuffle(edits)
        subjects = {key_of(e.subject) for e in edits}
        mine = of_edit[edit.edit_id]
        queries = rng.sample(mine, min(4, len(mine)))
        about = of_subject[key_of(edit.subject) or key_of(edit.statement)]
        queries += rng.sample(about, min(3, len(about)))
        for _ in range(2):
            stranger = rng.choice(of_template[_template(edit)] if rng.random() < 0.7 else asked)
            if key_of(stranger.subject) not in subjects and of_edit[stranger.edit_id]:
                q = rng.choice(of_edit[stranger.edit_id])
                queries.append(replace(q, kind="neighbor", edit_ids=frozenset()))
        if unrelated:
            queries.append(rng.choice(unrelated))
        yield Corpus(
            f"small-{corpus.name}-{number}",
            edits,
            [replace(q, generated=True, weight=0.5 * q.weight) for q in queries],
            corpus.name,
        )


def _template(edit: Edit) -> str:
    return edit.prompt.replace(edit.subject, "{}") if edit.subject else edit.source or ""


def _scope_corpus(folder: Path) -> Corpus:
    edits = benchmark_edits(folder / "scope_dev_memory.jsonl")
    subject = {e.edit_id: e.subject for e in edits}
    queries = []
    for r in rows_of(folder / "scope_dev_queries.jsonl"):
        ids = frozenset(r["edit_ids"])
        about = subject[min(ids)] if ids else ""
        queries.append(Query(r["query"], r["kind"], r["source"], ids, about=about))
    by_prompt = {(e.subject, e.prompt): e for e in edits}
    for r in rows_of(folder / "knowedit_wiki_counterfact_test_885.jsonl"):
        edit = by_prompt.get((r["subject"], r["prompt"]))
        if edit is None:
            continue
        for text in (r.get("generate_prompt") or [])[::8]:
            text = re.sub(r"^\s*\d+[.)]\s*", "", text).strip().rstrip(":")
            if r["subject"].lower() in text.lower() and len(text.split()) >= 3:
                queries.append(
                    Query(text, "paraphrase", "wiki_counterfact", frozenset([edit.edit_id]), True, edit.subject, 0.3)
                )
    return Corpus("scope", edits, queries)


def _free_facts(scope: Corpus) -> Corpus:
    """Some edits again as bare statements: no subject, no prompt."""
    kept = [e for e in scope.edits if e.source in ("counterfact", "wiki_counterfact")][::5]
    kept += [e for e in scope.edits if e.source not in ("counterfact", "wiki_counterfact")][::12]
    edits = [Edit(edit_id=f"free-{e.edit_id}", statement=e.statement, source=e.source) for e in kept]
    ids = {e.edit_id for e in kept}
    subjects = {key_of(e.subject) for e in kept}
    queries = []
    for q in scope.queries:
        if q.kind == "unrelated" or q.kind == "alias_surface":
            continue
        mine = frozenset(f"free-{i}" for i in q.edit_ids if i in ids)
        if q.edit_ids and not mine:
            continue
        if not q.edit_ids and q.kind == "same_subject" and not any(f" {s} " in f" {key_of(q.text)} " for s in subjects):
            continue
        queries.append(Query(q.text, q.kind, q.family, mine, True, q.about, 0.5 * q.weight))
    return Corpus("free", edits, queries)


_KEPT = 0.3
"""Share of the generated rows that are used: more teach little more."""


class _Relations:
    """Wordings by Wikidata property: CounterFact's clozes and MQuAKE's cloze and question."""

    # Properties whose wordings ask nearly the same, so that one may not stand as a wrong wording of the other.
    ALIKE = tuple(
        map(
            frozenset,
            (
                ("P17", "P131", "P276", "P30", "P159", "P495", "P740", "P27", "P937", "P1376"),
                ("P103", "P1412", "P37", "P364", "P407"),
                ("P176", "P178", "P127", "P170", "P112", "P50", "P175", "P1037"),
                ("P39", "P106", "P101", "P413", "P641", "P1303", "P136", "P800", "P108", "P463", "P937"),
                ("P449", "P264", "P127", "P108", "P178", "P176"),
                ("P6", "P1308", "P169", "P488", "P286", "P39"),
                ("P19", "P27"),
            ),
        )
    )
    PERSON = ("P19", "P20", "P27", "P103", "P106", "P140", "P413", "P641", "P26", "P69", "P40", "P108", "P1412", "P937")
    PLACE = ("P30", "P36", "P37", "P190", "P138", "P6", "P140")
    WORK = ("P364", "P449", "P136", "P176", "P178", "P50", "P175", "P170", "P495", "P264")

    def __init__(self, folder: Path) -> None:
        self.of_template: dict[str, str] = {}
        clozes: dict[str, dict[str, int]] = defaultdict(dict)
        self.of_case: dict[int, tuple[str, str]] = {}
        for r in rows_of(folder / "counterfact_relations.jsonl"):
            if r["relation_id"]:
                counts = clozes[r["relation_id"]]
                counts[r["prompt_template"]] = counts.get(r["prompt_template"], 0) + 1
                self.of_case[r["case_id"]] = (r["relation_id"], r["prompt_template"])
        self.clozes = {p: [t for t, n in c.items() if n >= 5] for p, c in clozes.items()}
        self.questions: dict[str, str] = {}
        self.mquake_clozes: dict[str, str] = {}
        for r in rows_of(folder / "mquake_cf_849.jsonl"):
            for e in r["requested_rewrite"]:
                self.questions[e["relation_id"]] = e["question"].replace(e["subject"], "{}")
                self.mquake_clozes[e["relation_id"]] = e["prompt"]

    def differ(self, one: str, other: str) -> bool:
        return one != other and not any(one in group and other in group for group in self.ALIKE)

    def other(self, relation: str, rng: random.Random) -> str | None:
        """A relation that asks something else, mostly one that fits the same kind of subject."""
        pool: Iterable[str] = self.clozes
        if rng.random() < 0.75:
            for kind in (self.PERSON, self.PLACE, self.WORK):
                if relation in kind:
                    pool = kind
        fit = [p for p in pool if self.differ(relation, p) and (p in self.clozes or p in self.questions)]
        return rng.choice(fit) if fit else None

    def wording(self, relation: str, subject: str, rng: random.Random) -> str:
        choices = list(self.clozes.get(relation, ()))
        if relation in self.questions and (not choices or rng.random() < 0.5):
            choices = [self.questions[relation]]
        return rng.choice(choices).replace("{}", subject)


def _mquake_corpus(folder: Path, relations: _Relations) -> Corpus:
    """PokeMQA's statements parsed by MQuAKE's clozes, and the questions in their scope."""
    patterns = [
        (relation, cloze, re.compile("^" + re.escape(cloze).replace(r"\{\}", "(.+?)") + " (.+)$"))
        for relation, cloze in relations.mquake_clozes.items()
    ]
    asked: dict[str, dict[str, None]] = {}
    for r in rows_of(folder / "pokemqa_scope_6688.jsonl"):
        asked.setdefault(r["edit"], {}).update(dict.fromkeys(r["questions"]))
    edits: list[Edit] = []
    queries: list[Query] = []
    taken: set[tuple[str, str]] = set()
    for statement, questions in list(asked.items())[::3]:
        for relation, cloze, pattern in patterns:
            m = pattern.match(statement)
            if m and (m[1], relation) not in taken:
                taken.add((m[1], relation))
                edit_id = f"mquake-{len(edits)}"
                edits.append(
                    Edit(
                        edit_id=edit_id,
                        subject=m[1],
                        prompt=cloze.replace("{}", m[1]),
                        target_new=m[2],
                        statement=f"{statement}.",
                        relation=relation,
                        source="mquake",
                    )
                )
                about = key_of(m[1])
                queries += [
                    Query(q, "paraphrase", "mquake", frozenset([edit_id]), False, m[1], 0.4)
                    for q in list(questions)[:2]
                    if f" {about} " in f" {key_of(q)} "
                ]
                break
    return Corpus("mquake", edits, queries)


def _counterfact_corpus(folder: Path, relations: _Relations) -> Corpus:
    """CounterFact's training rows: clozes, true paraphrases and neighbours."""
    edits: list[Edit] = []
    queries: list[Query] = []
    for r in rows_of(folder / "counterfact_train_10000.jsonl")[::8]:
        known = relations.of_case.get(r["case_id"])
        if known is None:
            continue
        edit_id = f"cf-{r['case_id']}"
        edits.append(
            Edit(
                edit_id=edit_id,
                subject=r["subject"],
                prompt=r["prompt"],
                target_new=r["target_new"],
                statement=f"{r['prompt']} {r['target_new']}.",
                relation=known[0],
                source="counterfact",
            )
        )
        if r["locality_prompt"] and key_of(r["subject"]) not in key_of(r["locality_prompt"]):
            queries.append(Query(r["locality_prompt"], "neighbor", "counterfact", frozenset(), True, r["subject"], 0.5))
    return Corpus("counterfact_train", edits, queries)


def _everyday_corpus(seed: str) -> Corpus:
    """Facts in our own wordings, some of them bare statements; questions in ours and in chat style."""
    rng = random.Random(f"{seed}-everyday")
    edits, rows = everyday_edits(rng)
    queries = []
    for text, kind, edit_id, about in rows:
        ids = frozenset([edit_id]) if edit_id else frozenset()
        queries.append(Query(text, kind, "everyday", ids, False, about))
        if rng.random() < 0.4:
            queries.append(Query(_casual(text, rng), kind, "everyday", ids, True, about))
    return Corpus(f"everyday-{seed}", edits, queries)


def _pocket_corpus(seed: str, count: int = 1300) -> Corpus:
    """Facts of the built-in model in its training wordings, never in those kept for development and evaluation.

    They teach which nouns ask for one relation ("legal tender", "money", "currency") and which for another one of the
    same subject.
    """
    rng = random.Random(f"{seed}-pocket")
    facts = load_facts()
    relations_of: dict[str, set[str]] = defaultdict(set)
    objects: dict[str, set[str]] = defaultdict(set)
    for fact in facts:
        relations_of[fact.subject].add(fact.relation)
        objects[fact.relation].add(fact.object)
    beside: dict[str, set[str]] = defaultdict(set)
    for together in relations_of.values():
        for relation in together:
            beside[relation] |= together
    answers = {relation: sorted(found) for relation, found in objects.items()}
    edited = rng.sample(facts, count)
    edits: list[Edit] = []
    queries: list[Query] = []
    held: dict[str, dict[str, str]] = defaultdict(dict)

    def worded(relation: str, subject: str, form: Form) -> str:
        text = rng.choice(wordings(relation, form, "train")).replace("{s}", in_running_text(subject))
        return text[:1].upper() + text[1:]

    def ask(subject: str, relation: str, kind: str) -> None:
        edit_id = held[subject].get(relation)
        if edit_id is None and any(alike(relation, other) for other in held[subject]):
            return
        text = worded(relation, subject, "statement" if rng.random() < 0.25 else "question")
        ids = frozenset([edit_id]) if edit_id else frozenset()
        queries.append(Query(text, "paraphrase" if edit_id else kind, "pocket", ids, False, subject))

    for number, fact in enumerate(edited):
        form: Form = "statement" if number % 2 else "question"
        prompt = worded(fact.relation, fact.subject, form)
        answer = rng.choice(answers[fact.relation])
        statement = f"{prompt} {answer}" + "." * (form == "statement")
        held[fact.subject][fact.relation] = f"pocket-{number}"
        bare = rng.random() < 0.15
        edits.append(
            Edit(
                edit_id=f"pocket-{number}",
                subject="" if bare else fact.subject,
                prompt="" if bare else prompt,
                target_new="" if bare else answer,
                statement=statement,
                source="pocket",
            )
        )
    for fact in edited:
        for _ in range(3):
            ask(fact.subject, fact.relation, "paraphrase")
        other = sorted(beside[fact.relation] - {fact.relation})
        for relation in rng.sample(other, min(2, len(other))):
            ask(fact.subject, relation, "same_subject")
    for fact in rng.sample(facts, count // 2):
        if not held.get(fact.subject):
            ask(fact.subject, fact.relation, "neighbor")
    return Corpus("pocket", edits, queries)


def _lead_ins(folder: Path) -> list[str]:
    texts = []
    for r in rows_of(folder / "text_wikitext2_valid.jsonl"):
        for sentence in re.split(r" [.] ", r["text"]):
            sentence = (
                sentence.replace("<unk>", "Adler").replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", ".")
            )
            sentence = re.sub(r"\s+([,.;:!?)'])", r"\1", sentence).strip()
            if 3 <= len(sentence.split()) <= 22:
                texts.append(sentence.rstrip(".") + ".")
    return texts


_LEAD_CHAT = (
    "Hi!",
    "Hello there.",
    "Quick question.",
    "I am writing a report.",
    "Thanks for the help earlier.",
    "My colleague asked me this.",
    "ok so",
    "Please answer briefly.",
)


def _generated(corpus: Corpus, relations: _Relations, lead_ins: list[str], rng: random.Random) -> Iterator[Query]:
    """Rows made from a corpus's edits and queries; lead-ins, casual style, slips, names changed."""
    edits = [e for e in corpus.edits if e.subject and e.prompt]
    if not edits:
        return
    by_subject: dict[str, list[Edit]] = defaultdict(list)
    words_of: dict[str, set[str]] = defaultdict(set)
    for e in edits:
        by_subject[key_of(e.subject)].append(e)
        for word in read(e.subject).words:
            words_of[word].add(key_of(e.subject))
    templates = [(e, e.prompt.replace(e.subject, "{}")) for e in edits if e.subject in e.prompt]
    asked: dict[str, list[str]] = defaultdict(list)
    for q in corpus.queries:
        if len(q.edit_ids) == 1 and q.kind in ("paraphrase", "yes_no"):
            asked[min(q.edit_ids)].append(q.text)

    def known(edit: Edit) -> str | None:
        if edit.relation:
            return edit.relation
        number = re.fullmatch(r"counterfact-(\d+)", edit.edit_id)
        return relations.of_case.get(int(number[1]), (None, None))[0] if number else None

    def made(edit: Edit, text: str, kind: str, inside: bool, weight: float = 0.5) -> Query:
        ids = frozenset([edit.edit_id]) if inside else frozenset()
        return Query(text, kind, edit.source or corpus.name, ids, True, edit.subject, weight)

    def lead(text: str) -> str:
        first = rng.choice(lead_ins) if rng.random() < 0.8 else rng.choice(_LEAD_CHAT)
        return f"{first} {text}"

    share: Callable[[float], bool] = lambda p: rng.random() < p  # noqa: E731
    for e, _ in templates:
        wording = rng.choice([e.prompt, *asked[e.edit_id]])
        relation = known(e)
        if share(0.30):
            yield made(e, lead(wording), "paraphrase", True)
        if share(0.25):
            yield made(e, _casual(wording, rng), "paraphrase", True)
        if share(0.15):
            yield made(e, _slip(wording, e.subject, rng), "paraphrase", True)
        if share(0.25):
            yield made(e, _yes_no(e, rng), "yes_no", True)
        if share(0.35):
            short = _shortened(e.subject, rng)
            if short and not (words_of_all(short, words_of) - {key_of(e.subject)}):
                yield made(e, wording.replace(e.subject, short), "alias_surface", True)
        if share(0.6):
            other_form = _other_form(e.subject, rng)
            if other_form and e.subject in wording and key_of(other_form) not in by_subject:
                yield made(e, wording.replace(e.subject, other_form), "alias_surface", True)
        held = [x.prompt for x in by_subject[key_of(e.subject)]]
        if share(0.25) and not _share_meaning("known famous work history event", e.subject, held):
            yield made(e, rng.choice(GENERAL).replace("{s}", e.subject), "same_subject", False)
        if share(0.45):
            asked_otherwise = rng.choice(_QUESTIONS).replace("{s}", e.subject)
            if not _share_meaning(asked_otherwise, e.subject, held):
                yield made(e, asked_otherwise, "same_subject", False)
        if share(0.5):
            swapped = _sibling(wording, e.subject, held, rng)
            if swapped:
                yield made(e, swapped, "same_subject", False)
        if share(0.5):
            swapped = _swapped_when_where(wording, e.target_new)
            if swapped:
                yield made(e, swapped, "same_subject", False)
        turned = _turned_passive(e)
        if turned is not None and share(0.7):
            inside, outside = turned
            if share(0.5):
                yield made(e, rng.choice(inside), "paraphrase", True)
            if not any(_other_answer(x, e) for x in by_subject[key_of(e.subject)]):
                yield made(e, rng.choice(outside), "same_subject", False)
        if share(0.25):
            other_edit, _ = rng.choice(templates)
            mixed = _mixed(e.subject, other_edit.subject)
            if mixed and key_of(mixed) not in by_subject and e.subject in wording:
                yield made(e, wording.replace(e.subject, mixed), "neighbor", False)
        if share(0.25):
            # Another name in the subject's place: mostly one that looks like it could stand there.
            stranger = rng.choice(templates)[0]
            own = by_subject[key_of(stranger.subject)]
            if key_of(stranger.subject) != key_of(e.subject) and all(
                known(x) is not None and relation is not None and relations.differ(known(x) or "", relation)
                for x in own
            ):
                yield made(e, wording.replace(e.subject, stranger.subject), "neighbor", False)
        if share(0.6) and e.subject in wording:
            changed = another_number(e.subject, rng)
            if changed and key_of(changed) not in by_subject:
                yield made(e, wording.replace(e.subject, changed), "neighbor", False)
        if share(0.6) and e.subject in wording:
            same = number_otherwise(e.subject)
            if same and key_of(same) not in by_subject:
                yield made(e, wording.replace(e.subject, same), "alias_surface", True)
        if share(0.5):
            changed = another_number(wording.replace(e.subject, "{}"), rng) if e.subject in wording else None
            if changed:
                yield made(e, changed.replace("{}", e.subject), "same_subject", False)
        if relation is not None:
            if relation in relations.questions and share(0.4):
                yield made(e, relations.questions[relation].replace("{}", e.subject), "paraphrase", True)
            for _ in range(2):
                other = relations.other(relation, rng)
                if other and all(relations.differ(known(x) or relation, other) for x in by_subject[key_of(e.subject)]):
                    text = relations.wording(other, e.subject, rng)
                    if share(0.25):
                        text = lead(text)
                    if share(0.2):
                        text = _casual(text, rng)
                    row = made(e, text, "same_subject", False)
                    # CounterFact's clozes on another source's subjects are left out with either family.
                    yield row if row.family == "counterfact" else replace(row, family=f"{row.family}+counterfact")
        elif e.source != "pocket" and share(0.5):
            # Another prompt of the same source on this subject, if the two share no content word.
            stranger, borrowed = rng.choice(templates)
            if stranger.source == e.source and not _share_content(
                borrowed, [x.prompt for x in by_subject[key_of(e.subject)]]
            ):
                yield made(e, borrowed.replace("{}", e.subject), "same_subject", False, 0.35)
    silent = [
        q for q in corpus.queries if not q.edit_ids and q.kind in ("same_subject", "neighbor") and not q.generated
    ]
    for q in silent:
        if share(0.15):
            yield Query(lead(q.text), q.kind, q.family, frozenset(), True, q.about, 0.5)
        if share(0.15):
            yield Query(_casual(q.text, rng), q.kind, q.family, frozenset(), True, q.about, 0.5)


def words_of_all(name: str, words_of: dict[str, set[str]]) -> set[str]:
    """Subjects that hold every word of ``name``."""
    sets = [words_of[w] for w in read(name).words]
    return set.intersection(*sets) if sets else set()


_DULL = frozenset(
    "the a an of in is was are were what which who whom where when how did does do has have name that to by for with "
    "on at and it its from as be been".split()
)


def _share_content(template: str, prompts: Iterable[str]) -> bool:
    words = {w[:5] for w in read(template).words} - {w[:5] for w in _DULL}
    return any(words & {w[:5] for w in read(p).words} for p in prompts)


def _shortened(subject: str, rng: random.Random) -> str | None:
    words = subject.split()
    if len(words) < 2 or not words[0][0].isupper():
        return None
    if len(words) == 2:
        return words[1] if words[1][:1].isupper() else None
    choices = [f"{words[0]} {words[-1]}", " ".join(words[1:]), " ".join(words[:-1])]
    return rng.choice(choices)


_MIDDLE = ("James", "Marie", "Anne", "Lee", "Robert", "Louise", "van", "Edward", "Rose", "Henry", "Ray", "Kumar", "Luz")
_SURNAMES = ("Miller", "Okafor", "Lindqvist", "Ferreira", "Haddad", "Novak", "Tanaka", "O'Neill", "Prevost", "Khan")
_BEFORE = ("Sir", "Dr.", "President", "Lady", "King", "Saint", "Prince")
_BEHIND = ("Jr.", "II", "III", "Sr.")
_LONG_FORM = ("Republic of", "Kingdom of", "State of", "People's Republic of", "Federal Republic of", "City of")
_COMPANY_FORM = ("Inc.", "Corporation", "Company", "Ltd.", "Group")


def _other_form(subject: str, rng: random.Random) -> str | None:
    """The same name as it may also be written: a longer, shorter, formal or familiar form."""
    words = subject.split()
    if not words or not words[0][:1].isupper() or len(words) > 4 or any(c.isdigit() for c in subject):
        return None
    plain = "".join(fold(w) if not w.isascii() else w for w in subject)
    forms = [subject.replace("-", " ") if "-" in subject else plain.title() if plain != subject else ""]
    inner = next((m.start() for m in re.finditer(r"(?<=[a-z])[A-Z]", subject)), None)
    if inner:
        forms.append(f"{subject[:inner]} {subject[inner:]}")
    if len(words) == 1:
        forms += [f"{rng.choice(_LONG_FORM)} {subject}", f"{subject} {rng.choice(_COMPANY_FORM)}"]
        forms += [f"{rng.choice(_BEFORE)} {subject}"]
    elif all(w[:1].isupper() for w in (words[0], words[-1])) and subject.replace(" ", "").isalpha():
        first, rest = words[0], " ".join(words[1:])
        letter = rng.choice("ABCDEFGHJKLMNPRSTW")
        middle = rng.choice(_MIDDLE)
        forms += [
            f"{first[0]}. {rest}",
            f"{first} {letter}. {rest}",
            f"{first} {middle} {rest}",
            f"{first} {middle} {rng.choice(_SURNAMES)} {rest}",
            f"{middle.title()} {subject}",
            f"{subject} {rng.choice(_SURNAMES)}",
            f"{rng.choice(_BEFORE)} {subject}",
            f"{subject} {rng.choice(_BEHIND)}",
        ]
        familiar = sorted(GIVEN_NAMES.get(fold(first), frozenset()) - {fold(first)})
        if familiar:
            other = rng.choice(familiar).title()
            forms += 2 * [f"{other} {rest}", f'{first} "{other}" {rest}', f"{other} {middle} {rest}"]
    forms = [form for form in forms if form and form != subject]
    return rng.choice(forms) if forms else None


_QUESTIONS = tuple(q for relation in RELATIONS.values() for q in relation.questions)


def _share_meaning(text: str, subject: str, prompts: Iterable[str]) -> bool:
    """Whether the text may ask for what one of the prompts asks for; also when it says too little to tell."""
    names = set(read(subject).words)

    def content(of: str) -> set[str]:
        return {stem(w) for w in read(of.replace("{s}", " ")).words if w not in names and w not in _DULL}

    asked, held = content(text), {s for p in prompts for s in content(p)}
    return not asked or any(same_meaning(a, b) for a in asked for b in held)


def _mixed(one: str, other: str) -> str | None:
    a, b = one.split(), other.split()
    if len(a) < 2 or len(b) < 2 or a[0].lower() == b[0].lower() or a[-1].lower() == b[-1].lower():
        return None
    return " ".join([*b[:-1], a[-1]]) if len(one) % 2 else " ".join([*a[:-1], b[-1]])


def _yes_no(edit: Edit, rng: random.Random) -> str:
    statement = edit.statement.rstrip(". ")
    if "?" in edit.prompt:
        return f"{edit.prompt} Is it {edit.target_new}?"
    if rng.random() < 0.3:
        return f"{edit.prompt} {edit.target_new}, right?"
    opening = rng.choice(("Is it true that", "Is it correct that", "Am I right that", "Is it the case that"))
    return f"{opening} {statement[:1].lower() if statement.startswith('The ') else statement[:1]}{statement[1:]}?"


_SIBLINGS = {word: group for group in SIBLINGS for word in group}


def _sibling(text: str, subject: str, prompts: Sequence[str], rng: random.Random) -> str | None:
    """The text with one word of its relation put for another that asks for something else, or None."""
    names = set(read(subject).words)
    held = {w for p in prompts for w in read(p).words}
    places = [m for m in re.finditer(r"[^\W\d_]+", text) if m[0].lower() in _SIBLINGS and m[0].lower() not in names]
    if not places:
        return None
    m = rng.choice(places)
    other = rng.choice([w for w in _SIBLINGS[m[0].lower()] if w != m[0].lower()])
    if other in held:
        return None
    return text[: m.start()] + (other.capitalize() if m[0][0].isupper() else other) + text[m.end() :]


def _swapped_when_where(text: str, target: str) -> str | None:
    """A question for a place turned into one for a time, or the other way; the answer must fit the first alone."""
    m = re.fullmatch(r"(when|where)\b[^?]*\?", text.strip(), re.IGNORECASE)
    if m is None or not target or (m[1].lower() == "when") != any(c.isdigit() for c in target):
        return None
    other = "where" if m[1].lower() == "when" else "when"
    return (other.capitalize() if m[1][0].isupper() else other) + text.strip()[m.end(1) :]


_PASSIVE = re.compile(r"(?<!\w)(?P<be>was|were|is|are) (?P<verb>\w+(?:ed|n|t|d|g))(?: first)? (?P<word>in|by|at|on)$")
_RELATIVE = re.compile(r",? (?:who|that|which|it|he|she|they)$")
_NO_PLACE = frozenset("written sung interested used involved filmed shot sold".split())
_NO_AGENT = frozenset("born located based situated headquartered followed preceded".split())


def _turned_passive(edit: Edit) -> tuple[list[str], list[str]] | None:
    """Questions made from "S was founded in …": those that ask for the answer, and those for the time, place or person
    that is not said. None where the prompt has another form."""
    m = _PASSIVE.search(edit.prompt)
    if m is None or not edit.prompt.startswith(edit.subject) and f" {edit.subject} " not in edit.prompt:
        return None
    name = _RELATIVE.sub("", edit.prompt[: m.start()].strip(" ,")).strip(" ,")
    be, verb = m["be"], m["verb"]
    if not name or verb in _NO_PLACE and m["word"] != "by" or verb in _NO_AGENT and m["word"] == "by":
        return None
    where, when = [f"Where {be} {name} {verb}?"], [f"When {be} {name} {verb}?", f"In what year {be} {name} {verb}?"]
    who = (
        [f"By whom {be} {name} {verb}?", f"Who {verb} {name}?"]
        if verb.endswith("ed")
        else [f"By whom {be} {name} {verb}?"]
    )
    if m["word"] == "by":
        return who, [*where, *when]
    no_agent = verb in _NO_AGENT
    if any(c.isdigit() for c in edit.target_new):
        return when, where if no_agent else [*where, *who]
    return where, when if no_agent else [*when, *who]


def _other_answer(one: Edit, edit: Edit) -> bool:
    """Whether ``one`` is another edit that may answer what ``edit`` leaves open: it has the same verb."""
    m = _PASSIVE.search(edit.prompt)
    return (
        one is not edit
        and m is not None
        and (m["verb"] in one.prompt or stem(m["verb"]) in map(stem, read(one.prompt).words))
    )


def _casual(text: str, rng: random.Random) -> str:
    """Lower case, no closing mark, a contraction or a filler."""
    text = text.lower().rstrip("?. ") if rng.random() < 0.8 else text.rstrip("?. ")
    if text.lower().startswith("what is ") and rng.random() < 0.6:
        text = "what's " + text[8:]
    if text.lower().startswith("who is ") and rng.random() < 0.6:
        text = "who's " + text[7:]
    if rng.random() < 0.3:
        text = rng.choice(("hey ", "so ", "btw ", "pls tell me: ", "do you know ", "remind me, ", "tell me ")) + text
    return text


def _slip(text: str, subject: str, rng: random.Random) -> str:
    """One typing slip in a longer word, anywhere."""
    places = [m for m in re.finditer(r"[^\W\d_]{5,}", text)]
    if not places:
        return text
    m = rng.choice(places)
    word = m[0]
    i = rng.randrange(1, len(word) - 2)
    slipped = rng.choice(
        (word[:i] + word[i + 1] + word[i] + word[i + 2 :], word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:])
    )
    return text[: m.start()] + slipped + text[m.end() :]


__all__ = [
    "IN_KINDS",
    "OUT_KINDS",
    "Corpus",
    "Query",
    "all_corpora",
    "benchmark_edits",
    "kept_back_subjects",
    "key_of",
    "rows_of",
]
