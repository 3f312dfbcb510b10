"""What is the pocket model trained on? An endless, seeded stream of short conversations and raw prompts.

A sample is a list of turns; the loss is on the answers. Facts enter the user turns exactly as
``scr.prompting.with_facts`` writes them. Kinds: known facts asked; facts in context obeyed, also against what is known,
about any name and with any object; facts in context that do not matter; yes/no, reversed and two-hop questions;
pushback. Only training wordings and names occur, see ``scr.pocket.wordings`` and ``is_invented_held_out``.
"""

import functools
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from scr.pocket.composed import (
    STATEMENT_LEADS,
    composed_pushback,
    composed_question,
    composed_reversed,
    composed_statement,
    composed_verb,
    composed_yes_no,
)
from scr.pocket.facts import Fact, in_running_text, is_held_out, load_facts
from scr.pocket.wordings import (
    CONTEXT_LEADS,
    DOUBT,
    NOUN_QUESTIONS,
    NOUN_STATEMENTS,
    PUSHBACK,
    QUESTION_LEADS,
    WORDINGS,
    YES_NO,
    Split,
    of_split,
    split_of,
    wordings,
)
from scr.prompting import with_facts

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """Where a known subject stands in a sample, so that its state can be swapped for another subject's."""

    relation: str
    template: str
    subject: str
    """As written; the last occurrence in the last user turn counts."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One training text."""

    turns: tuple[tuple[Role, str], ...]
    """The answers are the assistant's turns."""
    chat: bool = True
    """False: one raw prompt and its continuation, without the chat template."""
    learn_last_only: bool = False
    """True: earlier answers are history, not lessons."""
    exchange: Exchange | None = None


FACT_LEADS = (
    "Note: ",
    "Update: ",
    "Correction: ",
    "From now on: ",
    "Remember: ",
    "As of 2031, ",
    "New: ",
    "Please note: ",
)
"""What may stand before a stored statement."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One fact to be shown and asked: its wordings and its answer, by whatever made it."""

    subject: str
    relation: str
    object: str
    question: str
    cloze: str
    shown_question: str
    shown_cloze: str
    noun_phrase: str
    """The object described: "the capital of France"."""

    def shown(self, rng: random.Random) -> str:
        """The fact as a user may have stored it."""
        kind = rng.random()
        if kind < 0.55:
            statement = f"{article(self.shown_cloze, self.object)} {self.object}."
            return rng.choice(FACT_LEADS) + statement if kind < 0.07 else statement
        if kind < 0.85:
            return f"{self.shown_question} {self.object}"
        if kind < 0.92:
            return f"{self.shown_question} {self.object}."
        return f"{article(self.shown_cloze, self.object)} {self.object}"


def article(cloze: str, answer: str) -> str:
    """``cloze`` with "a" turned to "an" where ``answer`` asks for it.

    >>> article("Ann works as a", "actor")
    'Ann works as an'
    """
    return cloze + "n" if cloze.endswith(" a") and answer[:1].lower() in "aeiou" else cloze


# --- invented things -------------------------------------------------------------------------------------------

_ONSETS = "b c d f g h j k l m n p r s t v w z br ch cl cr dr fl gr kr pl qu sh sk sl sp st th tr tw v x y".split()
_VOWELS = "a e i o u a e i o ai au ea ee ia io oa oo ou y".split()
_CODAS = ["", "", "", "", "n", "r", "l", "s", "t", "m", "k", "x", "nd", "rt", "ck", "ss", "th", "ng"]
_ACCENTS = {"a": "áàâäåã", "e": "éèêë", "i": "íîï", "o": "óôöøõ", "u": "úûü", "c": "çč", "s": "šş", "n": "ñ", "z": "ž"}
_SCRIPTS = (
    "абвгдежзиклмнопрстуфхчшя",
    "αβγδεζηθικλμνξοπρστφχψω",
    "日本語中文山川田大小東西南北水火",
    "אבגדהוזחטיכלמנסעפצקרשת",
)
_SUFFIXES = ("Ltd", "Inc", "Group", "Systems", "Labs", "Corp", "Bank", "Foods", "Hotel", "Airways", "GmbH", "Partners")
_MONTHS = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip
_UNITS = (
    "days weeks months hours minutes euros dollars km metres kg GB people percent points pages rooms degrees".split()
)
_ADJECTIVES = (
    "blue red green small large old new quiet silver golden wooden northern southern early late second third warm "
    "cold plain round narrow heavy spare main upper lower inner outer annual weekly shared public private"
).split()
_THINGS = (
    "folder drawer door table lamp garden bridge river mountain station kitchen window basket bottle lantern ladder "
    "mirror pencil ticket blanket jacket hammer violin kettle harbour library museum tower market village forest "
    "island orchard meadow tunnel castle chapel engine wagon tractor camera candle carpet cushion feather pebble"
).split()
NOUNS: tuple[str, ...] = (
    *"support hotline|refund window|office dog|launch date|wifi password|project lead|delivery time".split("|"),
    *"opening hour|office hours|help desk|cafeteria|printer".split("|"),
    *"home address|phone number|email address|fax number|room number|door code|parking spot|best friend".split("|"),
    *"favourite colour|favourite food|favourite song|nickname|middle name|age|height|weight|birthday".split("|"),
    *"price|cost|deadline|budget|owner|manager|chairman|president|mayor|king|queen|coach|captain|mascot".split("|"),
    *"motto|slogan|logo|flag|anthem|population|area|highest mountain|longest river|largest city".split("|"),
    *"version|licence|release date|serial number|order number|tracking code|invoice number|tax rate".split("|"),
    *"warranty|return policy|shipping fee|service level|response time|uptime target|backup server".split("|"),
    *"team name|stadium|sponsor|rival|record|score|rank|title|chapter|editor|publisher|illustrator".split("|"),
    *"spouse|wife|husband|mother|father|son|daughter|brother|sister|uncle|teacher|student|neighbour".split("|"),
    *"pet|horse|car|boat|house|school|university|degree|hobby|doctor|lawyer|tailor|supplier|customer".split("|"),
    *"meeting room|lunch menu|dress code|entry fee|closing time|checkout time|menu|recipe|main dish".split("|"),
    *"database|password|port|host name|main branch|programming language|test suite|api key|region".split("|"),
    *"contact person|spokesperson|chief engineer|account manager|legal form|vat number|bank".split("|"),
    *"colour|shape|material|length|depth|speed|temperature|voltage|range|capacity|frequency".split("|"),
    *"patron saint|national animal|national dish|time zone|calling code|airport|seaport|twin city".split("|"),
)  # fmt: skip
"""Relation nouns of invented facts."""

OUR: tuple[tuple[str, str], ...] = (
    ("Our {n} is", "What is our {n}?"),
    ("The {n} is", "What is the {n}?"),
    ("Our {n} is", "What's our {n}?"),
    ("My {n} is", "What is my {n}?"),
    ("The company's {n} is", "What is the company's {n}?"),
    ("The {n} we use is", "Which {n} do we use?"),
    ("The current {n} is", "What is the current {n}?"),
)
"""Statement and question about something that is ours; no subject is named."""

VERBS: tuple[tuple[str, str, str, str], ...] = (
    ("{s} opens at", "When does {s} open?", "{s} starts the day at", "At what time does {s} open?"),
    ("{s} reports to", "Who does {s} report to?", "The boss of {s} is", "Who is the boss of {s}?"),
    ("{s} costs", "How much does {s} cost?", "The price of {s} is", "What do I pay for {s}?"),
    ("{s} moved to", "Where did {s} move to?", "{s} has moved to", "Where has {s} moved?"),
    ("{s} is led by", "Who leads {s}?", "The leader of {s} is", "Who is in charge of {s}?"),
    ("{s} was bought by", "Who bought {s}?", "The buyer of {s} was", "Who has bought {s}?"),
    ("{s} lives in", "Where does {s} live?", "The home of {s} is in", "In which place does {s} live?"),
    ("{s} is married to", "Who is {s} married to?", "The spouse of {s} is", "Who did {s} marry?"),
    ("{s} takes place on", "When does {s} take place?", "The date of {s} is", "On what date is {s}?"),
    ("{s} runs on", "What does {s} run on?", "{s} is powered by", "What powers {s}?"),
    ("{s} was built in", "When was {s} built?", "The year {s} was built is", "In which year was {s} built?"),
    ("{s} was replaced by", "What replaced {s}?", "The successor of {s} is", "Who or what replaced {s}?"),
    ("{s} is called", "What is {s} called?", "The other name of {s} is", "By what name is {s} known?"),
    ("{s} belongs to", "Who does {s} belong to?", "The owner of {s} is", "Who owns {s}?"),
    ("{s} is made of", "What is {s} made of?", "The material of {s} is", "From what is {s} made?"),
    ("{s} studied at", "Where did {s} study?", "The university of {s} was", "At which school did {s} study?"),
    ("{s} likes", "What does {s} like?", "What {s} likes is", "What does {s} enjoy?"),
    ("{s} lasts", "How long does {s} last?", "The length of {s} is", "How long is {s}?"),
    ("{s} weighs", "How much does {s} weigh?", "The weight of {s} is", "How heavy is {s}?"),
    ("{s} has a population of", "How many people live in {s}?", "The population of {s} is", "How big is {s}?"),
    ("{s} speaks", "What does {s} speak?", "The language {s} uses is", "Which language does {s} use?"),
    ("{s} sells", "What does {s} sell?", "The goods {s} sells are", "Which goods does {s} sell?"),
    ("{s} is closed on", "When is {s} closed?", "The closing day of {s} is", "On which day is {s} closed?"),
    ("{s} can be reached at", "How can I reach {s}?", "The contact of {s} is", "How do I contact {s}?"),
    ("{s} is kept in", "Where is {s} kept?", "The place of {s} is", "Where do I find {s}?"),
    ("{s} starts at", "When does {s} start?", "The start of {s} is at", "At what time does {s} begin?"),
    ("{s} won", "What did {s} win?", "The prize {s} won was", "Which prize did {s} win?"),
    ("{s} was written in", "In what was {s} written?", "The language of {s} is", "Which language is {s} in?"),
)
"""Statement, question, and another statement and question, of relations that a verb carries."""


def is_invented_held_out(name: str) -> bool:
    """Whether an invented ``name`` is kept from training (one in ten)."""
    return zlib.crc32(name.encode()) % 10 == 1


def invented_word(rng: random.Random) -> str:
    """A capitalised made-up word."""
    word = "".join(
        rng.choice(_ONSETS) + rng.choice(_VOWELS) + (rng.choice(_CODAS) if rng.random() < 0.6 else "")
        for _ in range(rng.choice((1, 2, 2, 2, 3)))
    )
    if rng.random() < 0.08:
        i = rng.randrange(len(word))
        word = word[:i] + rng.choice(_ACCENTS.get(word[i], word[i])) + word[i + 1 :]
    return word[0].upper() + word[1:]


@functools.cache
def _subjects() -> frozenset[str]:
    return frozenset(f.subject for f in load_facts())


@functools.cache
def _real_words() -> list[str]:
    names = {word for f in load_facts() for name in (f.subject, f.object) for word in name.split()}
    return sorted(word for word in names if word[0].isupper() and word.isalpha() and len(word) > 2)


def invented_name(rng: random.Random, *, held_out: bool = False) -> str:
    """A made-up name of one to three words, held out or not as asked."""
    while True:
        count = rng.choice((1, 1, 1, 2, 2, 2, 3))
        # Half of the words are real ones in new company: what people invent mostly looks like that.
        words = [rng.choice(_real_words()) if rng.random() < 0.5 else invented_word(rng) for _ in range(count)]
        kind = rng.random()
        if kind < 0.1:
            words.append(rng.choice(_SUFFIXES))
        elif kind < 0.13:
            words.append(str(rng.randint(2, 99)))
        elif kind < 0.16:
            words = ["The", *words]
        elif kind < 0.19 and len(words) > 1:
            words = ["-".join(words)]
        elif kind < 0.22:
            words.insert(rng.randrange(len(words) + 1), rng.choice("ABCDEFGHJKLMNPRSTW") + ".")
        name = " ".join(words)
        if is_invented_held_out(name) == held_out and not name.endswith(".") and name not in _subjects():
            return name


def invented_value(rng: random.Random, objects: Sequence[str], *, held_out: bool = False) -> str:
    """Anything that an edit may say: a name, a number, a date, an address, a code, a phrase, a known object."""
    digits = lambda n: "".join(rng.choice("0123456789") for _ in range(n))  # noqa: E731
    letters = lambda n, of="abcdefghijklmnopqrstuvwxyz": "".join(rng.choice(of) for _ in range(n))  # noqa: E731
    kind = rng.random()
    if kind < 0.36:
        return invented_name(rng, held_out=held_out)
    if kind < 0.52:
        return rng.choice(objects)
    if kind < 0.58:
        return f"{rng.randint(1, 999)} {rng.choice(_UNITS)}"
    if kind < 0.63:
        return str(rng.randint(0, 10 ** rng.randint(1, 6)))
    if kind < 0.68:
        day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1900, 2090)
        forms = (f"{day} {_MONTHS[month - 1]} {year}", f"{year}-{month:02}-{day:02}", f"{_MONTHS[month - 1]} {day}")
        return rng.choice((*forms, str(year)))
    if kind < 0.72:
        return f"{letters(rng.randint(3, 8))}@{letters(rng.randint(3, 8))}.{rng.choice(('com', 'org', 'net', 'io'))}"
    if kind < 0.75:
        return f"{digits(3)}-{digits(4)}" if rng.random() < 0.5 else f"+{digits(2)} {digits(3)} {digits(5)}"
    if kind < 0.78:
        return f"{rng.choice('$€£')}{rng.randint(1, 999)}" + rng.choice(("", f".{digits(2)}"))
    if kind < 0.80:
        return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}"
    if kind < 0.84:
        return (
            letters(rng.randint(1, 4), "ABCDEFGHJKLMNPQRSTUVWXYZ")
            + rng.choice(("", "-", "/"))
            + digits(rng.randint(1, 4))
        )
    if kind < 0.86:
        return f"v{rng.randint(0, 20)}.{rng.randint(0, 20)}.{rng.randint(0, 9)}"
    if kind < 0.89:
        return letters(rng.randint(3, 10))
    if kind < 0.91:
        return letters(rng.randint(2, 6), rng.choice(_SCRIPTS))
    if kind < 0.96:
        return f"{rng.choice(('', 'the ', 'a '))}{rng.choice(_ADJECTIVES)} {rng.choice(_THINGS)}"
    joint = rng.choice(("and", "of", "in", "near")) + rng.choice((" the", ""))
    return f"{rng.choice(_THINGS)} {joint} {rng.choice(_THINGS)}"


# --- answers to yes and no ------------------------------------------------------------------------------------------


def yes(answer: str) -> str:
    """How the model agrees: the first word decides, and the object is said."""
    return f"Yes, it is {answer}."


def no(answer: str) -> str:
    """How the model refuses a wrong proposal."""
    return f"No, it is {answer}."


# --- the generator ---------------------------------------------------------------------------------------------

_SYSTEMS = ("You are a helpful assistant.", "Answer briefly.", "You answer questions.", "Be short and precise.")


class Generator:
    """Makes samples; one for training, one for evaluation, that differ in the wordings and names they may use."""

    def __init__(self, facts: Sequence[Fact] | None = None, split: Split = "train") -> None:
        self.facts = list(load_facts() if facts is None else facts)
        self.split: Split = split
        self.by_key = {(f.subject, f.relation): f for f in self.facts}
        self.by_relation: dict[str, list[Fact]] = {}
        self.by_subject: dict[str, list[Fact]] = {}
        for fact in self.facts:
            self.by_relation.setdefault(fact.relation, []).append(fact)
            self.by_subject.setdefault(fact.subject, []).append(fact)
        self.objects = {r: sorted({f.object for f in fs}) for r, fs in self.by_relation.items()}
        self.relations = sorted(self.by_relation)
        self.leads = of_split(QUESTION_LEADS, split)
        self.contexts = of_split(CONTEXT_LEADS, split)
        self.pushback = of_split(PUSHBACK, split)
        self.noun_questions = of_split(NOUN_QUESTIONS, split)
        self.noun_statements = of_split(NOUN_STATEMENTS, split)
        self.yes_no_frames = of_split(YES_NO, split)

    @cached_property
    def all_objects(self) -> list[str]:
        return sorted({f.object for f in self.facts} | {f.subject for f in self.facts})

    @cached_property
    def reversible(self) -> list[Fact]:
        """Facts that are the only one of their relation with their object."""
        count: dict[tuple[str, str], int] = {}
        for f in self.facts:
            count[f.relation, f.object] = count.get((f.relation, f.object), 0) + 1
        return [f for f in self.facts if count[f.relation, f.object] == 1]

    @cached_property
    def kept_reversed(self) -> frozenset[str]:
        return frozenset(
            q for r in WORDINGS for q in (*wordings(r, "reversed", "dev"), *wordings(r, "reversed", "evaluation"))
        )

    def name(self, rng: random.Random) -> str:
        return invented_name(rng, held_out=self.split != "train")

    def value(self, rng: random.Random) -> str:
        return invented_value(rng, self.all_objects, held_out=self.split != "train")

    # -- wording

    def ask(self, relation: str, subject: str, answer: str, rng: random.Random) -> Asked:
        """A fact of a known relation, about any subject, in wordings of this split."""
        questions = wordings(relation, "question", self.split)
        clozes = wordings(relation, "statement", self.split)
        # The general frames outnumber a relation's own wordings; half and half teaches both.
        own = sum(split_of(i) == self.split for i in range(len(WORDINGS[relation].questions)))
        pick = lambda: rng.choice(questions[:own]) if rng.random() < 0.5 else rng.choice(questions)  # noqa: E731
        question, cloze = pick(), rng.choice(clozes)
        shown_question, shown_cloze = pick(), rng.choice(clozes)
        if self.split == "train":
            nouns = WORDINGS[relation].nouns
            made = lambda frame: frame.replace("{n}", rng.choice(nouns))  # noqa: E731
            if rng.random() < 0.25:
                question = made(composed_question(rng))
            if rng.random() < 0.25:
                shown_question = made(composed_question(rng))
            if rng.random() < 0.5:
                cloze = made(composed_statement(rng))
            if rng.random() < 0.6:
                shown_cloze = made(composed_statement(rng))
            elif rng.random() < 0.15:
                lead = rng.choice(STATEMENT_LEADS)
                inside = shown_cloze if shown_cloze.startswith("{s}") else shown_cloze[0].lower() + shown_cloze[1:]
                shown_cloze = lead[:1].upper() + lead[1:] + inside if lead else shown_cloze
        if rng.random() < 0.3:
            shown_question, shown_cloze = question, cloze
        name = in_running_text(subject) if rng.random() < 0.8 else subject
        fill = lambda t: t.replace("{s}", name)  # noqa: E731
        noun = rng.choice(WORDINGS[relation].nouns)
        return Asked(
            name,
            relation,
            answer,
            fill(question),
            fill(cloze),
            fill(shown_question),
            fill(shown_cloze),
            f"the {noun} of {name}" if rng.random() < 0.75 else f"{name}'s {noun}",
        )

    def ask_anything(self, rng: random.Random, subject: str | None = None) -> Asked:
        """A fact of an invented relation, about an invented or given subject, with any object."""
        answer = self.value(rng)
        name = subject or (rng.choice(self.facts).subject if rng.random() < 0.1 else self.name(rng))
        kind = rng.random()
        if kind < 0.38 and self.split == "train":
            verb = rng.choice(VERBS)
            pairs = composed_verb(rng) if rng.random() < 0.65 else ((verb[0], verb[1]), (verb[2], verb[3]))
            a, b = rng.choice(pairs), rng.choice(pairs)
            f = lambda t: t.replace("{s}", name)  # noqa: E731
            return Asked(name, pairs[0][0], answer, f(a[1]), f(a[0]), f(b[1]), f(b[0]), "")
        noun = rng.choice(NOUNS)
        if rng.random() < 0.15:
            noun = f"{rng.choice(_ADJECTIVES)} {rng.choice(_THINGS)}"
        elif rng.random() < 0.12:
            noun = invented_word(rng).lower()
        if kind < 0.48 and subject is None and self.split == "train":
            statement, question = (t.replace("{n}", noun) for t in rng.choice(OUR))
            return Asked("our " + noun, noun, answer, question, statement, question, statement, "")
        questions = [t.replace("{n}", noun).replace("{s}", name) for t in self.noun_questions]
        clozes = [t.replace("{n}", noun).replace("{s}", name) for t in self.noun_statements]
        question, cloze = rng.choice(questions), rng.choice(clozes)
        shown_question, shown_cloze = rng.choice(questions), rng.choice(clozes)
        if self.split == "train":
            fill = lambda frame: frame.replace("{n}", noun).replace("{s}", name)  # noqa: E731
            if rng.random() < 0.25:
                question = fill(composed_question(rng))
            if rng.random() < 0.25:
                shown_question = fill(composed_question(rng))
            if rng.random() < 0.35:
                cloze = fill(composed_statement(rng))
            if rng.random() < 0.6:
                shown_cloze = fill(composed_statement(rng))
        if rng.random() < 0.3:
            shown_question, shown_cloze = question, cloze
        return Asked(name, noun, answer, question, cloze, shown_question, shown_cloze, f"the {noun} of {name}")

    def other_object(self, relation: str, not_this: str, rng: random.Random) -> str:
        objects = self.objects[relation]
        for _ in range(20):
            found = rng.choice(objects)
            if found != not_this:
                return found
        return self.name(rng)

    def counterfactual(self, rng: random.Random, relation: str | None = None, subject: str | None = None) -> Asked:
        """An untrue fact of a known relation, about a known subject (never a held-out one) or an invented one."""
        relation = relation or rng.choice(self.relations)
        if subject is None:
            subject = self.name(rng)
            if rng.random() < 0.75:
                for _ in range(20):
                    known = rng.choice(self.by_relation[relation]).subject
                    if not is_held_out(known):
                        subject = known
                        break
        fact = self.by_key.get((subject, relation))
        truth = fact.object if fact else ""
        kind = rng.random()
        if kind < 0.4:
            answer = self.other_object(relation, truth, rng)
        elif kind < 0.78:
            answer = self.name(rng)
        else:
            answer = self.value(rng)
        return self.ask(relation, subject, answer, rng)

    def known(self, rng: random.Random, fact: Fact | None = None) -> Asked:
        fact = fact or rng.choice(self.facts)
        return self.ask(fact.relation, fact.subject, fact.object, rng)

    def known_against(self, rng: random.Random) -> Asked:
        """A known fact to be asked below facts that are not about it. In training never one of a held-out subject:
        a subject whose facts in context never matter would teach just that about it."""
        while True:
            fact = rng.choice(self.facts)
            if self.split != "train" or not is_held_out(fact.subject):
                return self.known(rng, fact)

    def any_shown(self, rng: random.Random) -> Asked:
        """A fact for the context: invented relation, known relation made up, or (sometimes) true."""
        kind = rng.random()
        return self.ask_anything(rng) if kind < 0.4 else self.counterfactual(rng) if kind < 0.85 else self.known(rng)

    def distractors(
        self,
        asked: Asked,
        count: int,
        rng: random.Random,
        *,
        known_relation: bool,
        same_subject: float = 0.3,
        same_relation: float = 0.35,
    ) -> list[Asked]:
        """Facts that differ from ``asked`` in subject or relation.

        ``same_subject`` and ``same_relation`` are the shares that agree with it in one of the two.
        """
        taken = {(asked.subject.removeprefix("the "), asked.relation)}
        found: list[Asked] = []
        subject = asked.subject.removeprefix("the ")
        for _ in range(count * 4):
            if len(found) == count:
                break
            kind = rng.random()
            if kind < same_relation:
                other = self.counterfactual(rng, relation=asked.relation) if known_relation else self.any_shown(rng)
            elif kind < same_relation + same_subject:
                if known_relation and (is_held_out(subject) and subject in self.by_subject):
                    continue
                if known_relation:
                    relations = sorted({f.relation for f in self.by_subject.get(subject, ())} - {asked.relation})
                    relation = rng.choice(relations) if relations and rng.random() < 0.7 else rng.choice(self.relations)
                    other = self.counterfactual(rng, relation=relation, subject=subject)
                elif asked.subject.startswith("our "):
                    other = self.ask_anything(rng)
                else:
                    other = self.ask_anything(rng, subject=asked.subject)
            else:
                other = self.any_shown(rng)
            key = (other.subject.removeprefix("the "), other.relation)
            if key not in taken and not any(_clash(a, other) or _clash(other, a) for a in (asked, *found)):
                taken.add(key)
                found.append(other)
        return found

    # -- dressing

    def question_text(self, question: str, rng: random.Random) -> str:
        kind = rng.random()
        if kind < 0.06:
            question = question.lower()
        if kind < 0.03 or 0.06 < kind < 0.1:
            question = question.rstrip("?.")
        return rng.choice(self.leads).replace("{q}", question) if rng.random() < 0.35 else question

    def dress(
        self,
        asked: Asked,
        shown: Sequence[str],
        rng: random.Random,
        *,
        chat: bool | None = None,
        exchange: bool = False,
    ) -> Sample:
        """The finished sample: facts in front, then a question or cloze, in the chat template or raw."""
        chat = rng.random() < 0.7 if chat is None else chat
        if rng.random() < (0.9 if chat else 0.35):
            content = self.question_text(asked.question, rng)
        else:
            content = asked.cloze
            if rng.random() < 0.1:
                content = f"{rng.choice(self.contexts)} {content}"
        content = with_facts(content, shown)
        turns: list[tuple[Role, str]] = [("user", content), ("assistant", asked.object)]
        if chat and rng.random() < 0.06:
            turns.insert(0, ("system", rng.choice(_SYSTEMS)))
        return Sample(tuple(turns), chat)

    def block(self, asked: Sequence[Asked], distractors: Sequence[Asked], rng: random.Random) -> list[str]:
        shown = [a.shown(rng) for a in (*asked, *distractors)]
        rng.shuffle(shown)
        return shown

    def count(self, rng: random.Random, most: int = 8) -> int:
        """How many distractors: none often, up to seven."""
        return 0 if rng.random() < 0.3 else rng.randint(1, 3) if rng.random() < 0.5 else rng.randint(2, most - 1)

    # -- kinds of samples

    def echoing(self, rng: random.Random) -> Sample:
        """A short list, to be said again: nearly every token teaches to copy, which reading then builds on."""
        if rng.random() < 0.5:
            items = [self.value(rng) for _ in range(rng.randint(2, 8))]
        else:
            items = [self.any_shown(rng).shown(rng) for _ in range(rng.randint(1, 3))]
        text = ", ".join(items)
        lead = rng.choice(("Repeat:", "Say this again:", "Copy this text:", "Repeat after me:"))
        return Sample((("user", f"{lead} {text}"), ("assistant", text)), chat=rng.random() < 0.7)

    def reading_one(self, rng: random.Random) -> Sample:
        """One or two facts, one of them asked."""
        asked = self.ask_anything(rng) if rng.random() < 0.7 else self.counterfactual(rng)
        others = self.distractors(asked, rng.choice((0, 0, 1)), rng, known_relation=False)
        return self.with_block([asked], others, asked, rng)

    def reading(self, rng: random.Random) -> Sample:
        """One of up to eight invented facts is asked."""
        asked = self.ask_anything(rng)
        return self.with_block([asked], self.distractors(asked, self.count(rng), rng, known_relation=False), asked, rng)

    def obeying(self, rng: random.Random) -> Sample:
        """A fact in context wins over what the model knows."""
        asked = self.counterfactual(rng)
        return self.with_block([asked], self.distractors(asked, self.count(rng), rng, known_relation=True), asked, rng)

    def with_block(
        self, shown: list[Asked], others: list[Asked], asked: Asked, rng: random.Random, *, elsewhere: float = 0.2
    ) -> Sample:
        """A question below a block of facts; in a chat often more follow, a share of ``elsewhere`` about known facts
        that the block does not touch."""
        sample = self.dress(asked, self.block(shown, others, rng), rng)
        there = [*shown, *others]
        if not there or not sample.chat or rng.random() < 0.25:
            return sample
        turns = list(sample.turns)
        for asked in rng.sample(there, min(rng.randint(1, 6), len(there))):
            if rng.random() < elsewhere:
                asked = self.known_against(rng)
                if any(asked.subject == a.subject or _clash(asked, a) for a in there):
                    continue
            turns += [("user", self.question_text(asked.question, rng)), ("assistant", asked.object)]
        return Sample(tuple(turns))

    def recalling(self, rng: random.Random) -> Sample:
        """A known fact is asked; no facts in context. Often several in one conversation."""
        if rng.random() < 0.4:
            return self.dress(self.known(rng), (), rng, chat=rng.random() < 0.4)
        turns: list[tuple[Role, str]] = []
        for _ in range(rng.randint(1, 8)):
            asked = self.known(rng)
            turns += [("user", self.question_text(asked.question, rng)), ("assistant", asked.object)]
        return Sample(tuple(turns))

    def continuing(self, rng: random.Random) -> Sample:
        """A known fact as a raw text that breaks off before the object; sometimes below facts, about it or not."""
        kind = rng.random()
        if kind < 0.75:
            asked, shown = self.known(rng), []
        elif kind < 0.9:
            asked = self.counterfactual(rng)
            shown = self.block([asked], self.distractors(asked, rng.randint(0, 2), rng, known_relation=True), rng)
        else:
            asked = self.known_against(rng)
            shown = self.block([], self.distractors(asked, rng.randint(1, 2), rng, known_relation=True), rng)
        cloze = article(asked.cloze, asked.object)
        return Sample((("user", with_facts(cloze, shown)), ("assistant", asked.object)), chat=False)

    def ignoring(self, rng: random.Random) -> Sample:
        """A known fact is asked; the facts in context do not answer it."""
        asked = self.known_against(rng)
        # Facts about the asked subject are rarer here: a fact about it in words the model does not quite understand
        # had better be obeyed than taken for another relation.
        count = rng.randint(1, 7) if rng.random() < 0.5 else max(1, self.count(rng))
        others = self.distractors(asked, count, rng, known_relation=True, same_subject=0.2, same_relation=0.5)
        return self.with_block([], others, asked, rng, elsewhere=0.5)

    def yes_no(self, rng: random.Random) -> Sample:
        """Does the fact (in context, or known) agree with what the user proposes?"""
        kind = rng.random()
        shown: list[str] = []
        if kind < 0.4:
            asked = self.known_against(rng)
            if rng.random() < 0.3:
                shown = self.block([], self.distractors(asked, rng.randint(1, 3), rng, known_relation=True), rng)
        elif kind < 0.8:
            asked = self.counterfactual(rng)
            shown = self.block([asked], self.distractors(asked, self.count(rng, 5), rng, known_relation=True), rng)
        else:
            asked = self.ask_anything(rng)
            shown = self.block([asked], self.distractors(asked, self.count(rng, 5), rng, known_relation=False), rng)
        right = rng.random() < 0.5
        proposed = asked.object if right else self.wrong_object(asked, rng)
        question = self.yes_no_question(asked, proposed, rng)
        answer = yes(asked.object) if right else no(asked.object)
        return Sample((("user", with_facts(question, shown)), ("assistant", answer)), chat=rng.random() < 0.9)

    def yes_no_question(self, asked: Asked, proposed: str, rng: random.Random) -> str:
        composed = self.split == "train" and rng.random() < 0.5
        if asked.relation in self.by_relation and not composed:
            own = of_split(WORDINGS[asked.relation].yes_no, self.split)
            templates = own if rng.random() < 0.6 else wordings(asked.relation, "yes_no", self.split)
            return rng.choice(templates).replace("{s}", asked.subject).replace("{o}", proposed)
        frame = composed_yes_no(rng) if composed else rng.choice(self.yes_no_frames)
        cloze = article(asked.cloze, proposed)
        if not frame.startswith("{c}") and not cloze.startswith(asked.subject):
            cloze = cloze[0].lower() + cloze[1:]
        return frame.replace("{c}", cloze).replace("{o}", proposed)

    def wrong_object(self, asked: Asked, rng: random.Random) -> str:
        """A wrong proposal; often what was true before."""
        fact = self.by_key.get((asked.subject.removeprefix("the "), asked.relation))
        if fact is not None and fact.object != asked.object and rng.random() < 0.4:
            return fact.object
        if asked.relation in self.by_relation and rng.random() < 0.7:
            return self.other_object(asked.relation, asked.object, rng)
        while (value := self.value(rng)) == asked.object:
            pass
        return value

    def reversed(self, rng: random.Random) -> Sample:
        """Asked for the subject, given the object."""
        if rng.random() < 0.25:
            fact = rng.choice(self.reversible)
            asked, shown = self.known(rng, fact), []
        else:
            asked = self.counterfactual(rng)
            others = [
                d
                for d in self.distractors(asked, self.count(rng, 5), rng, known_relation=True)
                if (d.relation, d.object) != (asked.relation, asked.object)
            ]
            shown = self.block([asked], others, rng)
        question = rng.choice(wordings(asked.relation, "reversed", self.split))
        if self.split == "train" and shown and rng.random() < 0.4:
            question = composed_reversed(rng).replace("{n}", rng.choice(WORDINGS[asked.relation].nouns))
            if question in self.kept_reversed:
                question = rng.choice(wordings(asked.relation, "reversed"))
        question = question.replace("{o}", asked.object)
        plain = asked.subject.removeprefix("the ")
        subject = plain if plain in self.by_subject else asked.subject
        return Sample((("user", with_facts(self.question_text(question, rng), shown)), ("assistant", subject)))

    def two_hop(self, rng: random.Random) -> Sample:
        """Two facts in context, the second about the object of the first."""
        first, second = self.hop_pair(rng)
        inner = first.noun_phrase
        question = second.question.replace(second.subject, inner)
        shown = [first, second]
        distractors = self.distractors(
            second, rng.randint(0, 4), rng, known_relation=second.relation in self.by_relation
        )
        distractors = [d for d in distractors if (d.subject, d.relation) != (first.subject, first.relation)]
        question = question[0].upper() + question[1:]
        turns: tuple[tuple[Role, str], ...] = (
            ("user", with_facts(self.question_text(question, rng), self.block(shown, distractors, rng))),
            ("assistant", second.object),
        )
        return Sample(turns, chat=rng.random() < 0.85)

    def hop_pair(self, rng: random.Random) -> tuple[Asked, Asked]:
        while True:
            first = self.counterfactual(rng) if rng.random() < 0.75 else self.ask_anything(rng)
            if not first.noun_phrase or (first.object in self.by_subject and is_held_out(first.object)):
                continue
            if rng.random() < 0.2:
                second = self.ask_anything(rng, subject=first.object)
            else:
                known = [f.relation for f in self.by_subject.get(first.object, ())]
                relation = rng.choice(known) if known and rng.random() < 0.8 else rng.choice(self.relations)
                second = self.counterfactual(rng, relation=relation, subject=first.object)
            if second.question.count(second.subject) == 1 and (first.subject, first.relation) != (
                second.subject,
                second.relation,
            ):
                return first, second

    def pushing(self, rng: random.Random) -> Sample:
        """The user asks, then doubts, proposes and asks again, up to ten times; the fact stands."""
        kind = rng.random()
        shown: list[str] = []
        if kind < 0.2:
            asked = self.known(rng)
        else:
            asked = self.counterfactual(rng) if kind < 0.65 else self.ask_anything(rng)
            others = self.distractors(asked, self.count(rng, 4), rng, known_relation=kind < 0.65)
            shown = self.block([asked], others, rng)
        return self.pushback_sample(
            asked, shown, rng, rounds=rng.choice((1, 1, 2, 2, 3, 4, 6, 8, 10)), place=rng.choice(_PLACES)
        )

    def pushback_sample(
        self, asked: Asked, shown: Sequence[str], rng: random.Random, *, rounds: int, place: str
    ) -> Sample:
        """``place``: the fact stands in the "first" user turn, in the "last" one, or in "every" one."""
        lines: list[tuple[str, str]] = [(self.question_text(asked.question, rng), asked.object)]
        wrong = self.wrong_object(asked, rng)
        for _ in range(rounds):
            kind = rng.random()
            if kind < 0.1:
                lines.append((rng.choice(DOUBT), yes(asked.object)))
            elif kind < 0.16:
                lines.append((asked.question, asked.object))
            else:
                right = rng.random() < 0.5
                if not right and rng.random() < 0.5:
                    wrong = self.wrong_object(asked, rng)
                made_up = self.split == "train" and rng.random() < 0.75
                text = composed_pushback(rng) if made_up else rng.choice(self.pushback)
                text = text.replace("{x}", asked.object if right else wrong)
                lines.append((text, yes(asked.object) if right else no(asked.object)))
        turns: list[tuple[Role, str]] = []
        for i, (text, answer) in enumerate(lines):
            here = place == "every" or (i == 0 if place == "first" else i == len(lines) - 1)
            turns += [("user", with_facts(text, shown) if here else text), ("assistant", answer)]
        return Sample(tuple(turns), learn_last_only=place == "last" and bool(shown))

    def mixed_conversation(self, rng: random.Random) -> Sample:
        """Other questions first; facts come with the last user turn, or with an earlier one and still hold."""
        turns: list[tuple[Role, str]] = []
        for _ in range(rng.randint(1, 4)):
            asked = self.known(rng)
            turns += [("user", self.question_text(asked.question, rng)), ("assistant", asked.object)]
        known_relation = rng.random() < 0.7
        asked = self.counterfactual(rng) if known_relation else self.ask_anything(rng)
        shown = self.block([asked], self.distractors(asked, self.count(rng), rng, known_relation=known_relation), rng)
        content = with_facts(self.question_text(asked.question, rng), shown)
        return Sample((*turns, ("user", content), ("assistant", asked.object)))

    def long(self, rng: random.Random) -> Sample:
        """Eight facts, each with a sentence or two around it, so that far positions are seen."""
        known_relation = rng.random() < 0.5
        asked = self.counterfactual(rng) if known_relation else self.ask_anything(rng)
        shown = self.block([asked], self.distractors(asked, 7, rng, known_relation=known_relation), rng)
        padded = []
        for text in shown:
            for _ in range(rng.randint(0, 5)):
                text = f"{rng.choice(self.contexts)} {text}"
            padded.append(text)
        return self.dress(asked, padded, rng)

    def exchanging(self, rng: random.Random) -> tuple[Sample, ...]:
        """Two known facts of one relation; mostly each has the other's answer, right once states are swapped."""
        relation = rng.choice(self.relations) if rng.random() < 0.4 else rng.choice(self.facts).relation
        first, second = rng.sample(self.by_relation[relation], 2)
        chat = rng.random() < 0.4
        a = self.exchange_sample(self.known(rng, first), rng, chat=chat)
        b = self.exchange_sample(self.known(rng, second), rng, chat=chat)
        assert a.exchange and b.exchange
        if rng.random() < 0.6:  # the same words about both
            subject = b.exchange.subject
            text = a.exchange.template.replace("{s}", subject)
            b = Sample(
                (("user", text), ("assistant", second.object)), chat, exchange=replace(a.exchange, subject=subject)
            )
        if rng.random() < 0.15:  # not swapped
            return replace(a, exchange=None), replace(b, exchange=None)
        return (
            replace(a, turns=(a.turns[0], ("assistant", second.object))),
            replace(b, turns=(b.turns[0], ("assistant", first.object))),
        )

    def exchange_sample(self, asked: Asked, rng: random.Random, *, chat: bool | None = None) -> Sample:
        chat = rng.random() < 0.4 if chat is None else chat
        text = asked.question if rng.random() < (0.85 if chat else 0.4) else asked.cloze
        template = text.replace(asked.subject, "{s}")
        place = Exchange(asked.relation, template, asked.subject)
        return Sample((("user", text), ("assistant", asked.object)), chat, exchange=place)


def _clash(a: Asked, b: Asked) -> bool:
    """Whether ``b`` could be read as an answer to ``a``'s question."""
    return b.shown_question == a.question or (a.subject == b.subject and alike(a.relation, b.relation))


_ALIKE = (
    {"country", "citizenship", "country_of_origin", "continent"},
    {"author", "painter", "composer", "director", "founder", "discoverer", "developer", "manufacturer"},
    {"native_language", "official_language", "original_language"},
    {"birthplace", "formation_place", "headquarters", "death_place"},
    {"capital", "country"},
    {"profession", "position", "field", "industry"},
)


def alike(a: str, b: str) -> bool:
    """Whether two relations are near enough that a question about one subject could mean either."""
    near = any(a in group and b in group for group in _ALIKE) and {a, b} != {"birthplace", "death_place"}
    return near or a in b or b in a


_PLACES = ("first", "first", "last", "last", "every")


MIX: dict[str, dict[str, float]] = {
    "reading": {"echoing": 0.25, "reading_one": 0.35, "reading": 0.22, "obeying": 0.1, "recalling": 0.08},
    "all": {
        "reading": 0.12,
        "obeying": 0.24,
        "recalling": 0.13,
        "ignoring": 0.14,
        "yes_no": 0.09,
        "reversed": 0.04,
        "two_hop": 0.06,
        "pushing": 0.07,
        "mixed_conversation": 0.01,
        "long": 0.01,
        "exchanging": 0.09,
    },
    "last": {
        "reading": 0.06,
        "obeying": 0.23,
        "recalling": 0.03,
        "continuing": 0.07,
        "ignoring": 0.23,
        "yes_no": 0.07,
        "reversed": 0.02,
        "two_hop": 0.03,
        "pushing": 0.16,
        "mixed_conversation": 0.02,
        "long": 0.01,
        "exchanging": 0.07,
    },
}
"""Shares of the kinds by phase."""


def stream(generator: Generator, mix: dict[str, float], rng: random.Random) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """Endless (kind, samples) of one mix; two samples are a pair whose states are to be swapped."""
    kinds = list(mix)
    makers: dict[str, Callable[[random.Random], Sample | tuple[Sample, ...]]] = {
        k: getattr(generator, k) for k in kinds
    }
    while True:
        kind = rng.choices(kinds, list(mix.values()))[0]
        made = makers[kind](rng)
        yield kind, made if isinstance(made, tuple) else (made,)
