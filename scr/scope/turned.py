"""How does a question about a fact turn into one of another time, of a case only supposed, or asked a sentence later?

Wordings of our own for generated training rows. A question of the present stays about the fact ("… today?"), one of the
past does not; a fact may be asked for inside a supposition, but what would be if it were otherwise is not what it says;
a text may name the subject first and ask about it, by a pronoun, afterwards. What only follows a question changes
nothing.
"""

from __future__ import annotations

import random
import re

_TODAY = (
    "today",
    "these days",
    "now",
    "nowadays",
    "at the moment",
    "currently",
    "at present",
    "right now",
    "this year",
    "as of today",
)
_AHEAD = ("Right now, ", "As things stand, ", "Today, ", "At the moment, ", "After the latest change, ")
_THEN = (
    "in {y}",
    "back in {y}",
    "before {y}",
    "until {y}",
    "in the {d}s",
    "{n} years ago",
    "before the war",
    "before the merger",
    "before the change",
    "before the last election",
    "before it was changed",
    "until last year",
    "last year",
    "in the past",
    "originally",
    "at first",
    "in the old days",
    "back then",
    "at the time of the opening",
    "during the crisis",
    "during the {c} century",
    "in the {c} century",
    "when the records begin",
    "when it all started",
    "under the previous owner",
    "two owners ago",
    "a generation ago",
    "in ancient times",
    "in those days",
    "in its early days",
    "in the year it opened",
    "in the era of the founders",
    "before it was rebuilt",
    "before the reform",
    "while the old rules held",
    "at the turn of the century",
)
_EARLIER = ("first", "first", "previous", "former", "original", "earliest", "second", "last but one")
_TO_THE_PAST = {
    "is": "was",
    "are": "were",
    "does": "did",
    "do": "did",
    "has": "had",
    "have": "had",
    "runs": "ran",
    "owns": "owned",
    "makes": "made",
    "leads": "led",
    "lives": "lived",
    "uses": "used",
    "plays": "played",
    "borders": "bordered",
    "coaches": "coached",
    "belongs": "belonged",
    "costs": "cost",
    "speaks": "spoke",
    "'s": " was",
}
_ASKED_INSIDE = (
    "If somebody asked you {q}, what would you say?",
    "If a child wanted to know {q}, what should I tell it?",
    "Suppose someone asks {q}. What is right?",
    "Suppose I had to put it on a form: {q}",
    "Imagine a customer calls and asks {q}. What do I answer?",
    "If I needed it for a form, {q}",
    "If I were to write to them, {q}",
    "If I wanted to be exact: {q}",
    "Assume I know nothing. {Q}",
    "In case anybody asks: {q}",
    "If a test wanted to know {q}, which answer would be right?",
    "If the form asks {q}, what do I put?",
    "If they were to ask {q}, what would be correct?",
    "Suppose a pupil asks in class {q}. Which answer is correct?",
    "Suppose I travel there tomorrow: {q}",
    "Suppose it rains: {q}",
    "Imagine we sign today: {q}",
    "I don't remember {q}. Do you?",
    "I can never remember {q}. Tell me, please.",
    "I couldn't find {q}. Can you say?",
    "Don't you know {q}?",
    "No idea {q}",
    "Would you tell me {q}",
    "Could you look up {q}",
)
_OTHERWISE = (
    "If {t} changed tomorrow, who would have to be told?",
    "If {t} were another one, what would follow?",
    "If {t} were changed, would anybody notice?",
    "What would happen if {t} were different?",
    "What would it cost to change {t}?",
    "Suppose {t} were given up: what would come next?",
    "Imagine {t} had never been chosen. What then?",
    "Would it be wise to change {t}?",
    "Should {t} be changed?",
    "Who decides about {t}?",
    "Who could change {t}, and how?",
    "Why was {t} chosen?",
    "How often does {t} change?",
    "Who first wrote about {t}?",
    "Is it hard to find out {t}?",
    "What do people think of {t}?",
    "If you could choose {t} yourself, what would you take?",
    "Had {t} been another one, would things be better?",
    "When will {t} change?",
    "Which rumours are there about {t}?",
    "If {t} were replaced, what should the new one be like?",
    "If {t} failed, whom would one call?",
    "If {t} had never existed, would things have gone on?",
    "If {t} lasted all day, how many people would it need?",
    "If there were no such thing as {t}, how soon would anybody notice?",
    "If they looked for a successor to {t}, who should it be?",
    "Who does not like {t}?",
    "Who has nothing to do with {t}?",
    "Why does nobody talk about {t}?",
    "Why is {t} not mentioned more often?",
    "Which people never heard of {t}?",
)
_SUPPOSED_OF = (
    "If {s} did not exist, what would be missing?",
    "If {s} had never been heard of, would the world be different?",
    "What would you do if you could change {s}?",
    "Imagine {s} in a hundred years: what will be left?",
    "If {s} were twice as large, what would change?",
    "Suppose {s} moved to the moon. Who would follow?",
    "If {s} were closed for a week, who would complain?",
    "If {s} hired somebody new, what should they be able to do?",
    "If {s} had a second chance, what should be done otherwise?",
    "If something at {s} broke, whom would I ask?",
    "Which people do not like {s}?",
    "Who is not mentioned in the article about {s}?",
    "What should nobody do with {s}?",
    "Why does no one complain about {s}?",
    "What is not known about {s}?",
    "If you met {s} in a dream, what would you ask?",
    "How many books mention {s}?",
    "How many letters are in the name {s}?",
    "How many times a day do people search for {s}?",
    "What would a poster of {s} cost?",
    "How much would twelve postcards of {s} cost?",
    "How many pages does the article about {s} have?",
)
_FIRST = {
    "country": (
        "We are off to {s} in May.",
        "My aunt moved to {s}.",
        "I read a book about {s}.",
        "Our team meets {s}.",
    ),
    "company": ("I have an interview at {s}.", "I must write to {s}.", "We buy from {s}.", "My sister joined {s}."),
    "person": ("I saw a film about {s}.", "We talked about {s} at school.", "I am writing about {s}."),
    "player": ("My son admires {s}.", "I watched {s} last night.", "Everyone talks about {s}."),
    "band": ("A friend lent me a record of {s}.", "I heard {s} on the radio.", "We saw {s} on Friday."),
}
_FIRST_OF_ANY = (
    "I have been reading about {s}.",
    "This is about {s}.",
    "A quick question on {s}.",
    "Somebody mentioned {s} today.",
    "I know next to nothing about {s}.",
    "We were just talking about {s}.",
    "You have surely heard of {s}.",
    "I keep hearing of {s}.",
)
_ASKED_PLAINLY = ("Tell me", "I want to know", "I would like to know", "I need to know", "Please tell me", "I wonder")
_BEHIND = (
    "It is for my homework.",
    "It is for a quiz, thanks.",
    "this is for school, thanks",
    "Can you help?",
    "Can you do it quickly?",
    "Thanks!",
    "thx",
    "Please be brief.",
    "I have to hand it in today.",
    "My boss wants it now.",
    "They want it in writing.",
    "One word is enough.",
    "Do not explain it.",
)
_AGREE = {"is": "are", "was": "were", "does": "do", "has": "have"}
_PRONOUN = {"person": ("he", "she"), "player": ("he", "she"), "band": ("they",)}
_POSSESSIVE = {"it": "its", "he": "his", "she": "her", "they": "their"}
_OBJECTIVE = {"it": "it", "he": "him", "she": "her", "they": "them"}


def of_today(question: str, subject: str, rng: random.Random) -> str | None:
    """Return a question of the present, asked with stress on that; None where it is not in the present."""
    words = set(re.findall(r"'s\b|[A-Za-z]+", question))
    if not words & _TO_THE_PAST.keys() or words & {"was", "were", "did", "had"}:
        return None
    if rng.random() < 0.25:
        return rng.choice(_AHEAD) + (question if question.startswith(subject) else question[0].lower() + question[1:])
    return f"{question.rstrip('?. ')} {rng.choice(_TODAY)}{'?' if question.endswith('?') else ''}"


def of_the_past(question: str, subject: str, rng: random.Random) -> str | None:
    """Return a question of the present put into the past, at another time; None where it has no verb that we turn."""
    head, found, tail = question.partition(subject)
    if rng.random() < 0.35:
        earlier = _of_an_earlier_one(question, subject, rng) or _used_to(question, subject)
        if earlier is not None:
            return earlier
    for at, text in ((0, head), (2, tail)):
        for m in re.finditer(r"'s\b|[A-Za-z]+", text):
            past = _TO_THE_PAST.get(m[0])
            if past is None or m[0] == "'s" and not re.search(r"\b(?:Who|What|Where)$", text[: m.start()]):
                continue
            turned = text[: m.start()] + past + text[m.end() :]
            whole = turned + found + tail if at == 0 else head + found + turned
            year = rng.randrange(1890, 2016)
            then = rng.choice(_THEN).format(
                y=year, d=year // 10 * 10, n=rng.choice(("ten", "five", "20", "fifty")), c=rng.choice(("18th", "19th"))
            )
            if rng.random() < 0.15 or not question.endswith("?"):
                whole = whole if whole.startswith(subject) else whole[0].lower() + whole[1:]
                return f"{then[0].upper()}{then[1:]}, {whole}"
            return f"{whole.rstrip('?. ')} {then}{'?' if question.endswith('?') else ''}"
    return None


def _of_an_earlier_one(question: str, subject: str, rng: random.Random) -> str | None:
    """Ask for the first, or another former, one of what "the … of S" or "S's …" names."""
    m = re.search(rf"\b[Tt]he (?=[\w-]+ (?:[\w-]+ )?of (?:the )?{re.escape(subject)})", question) or re.search(
        rf"{re.escape(subject)}'s (?=\w)", question
    )
    if m is None or rng.random() < 0.3 or re.match(r"first|last|former|previous|original|current", question[m.end() :]):
        return None
    text = f"{question[: m.end()]}{rng.choice(_EARLIER)} {question[m.end() :]}"
    return re.sub(r"\b(Who|What|Which \w+) is\b", r"\1 was", text) if rng.random() < 0.7 else text


def _used_to(question: str, subject: str) -> str | None:
    """What used to be, in place of what is."""
    m = re.match(r"(What|Who|Where|Which \w+) (?:is|are) ", question)
    if m is not None:
        at = question[m.end() :]
        return f"{m[1]} did {at.rstrip('?. ')} use to be?" if m[1] == "Where" else f"{m[1]} used to be {at}"
    turned = re.sub(rf"\b(?:does|do) ((?:the )?{re.escape(subject)}) (?=[a-z])", r"did \1 use to ", question)
    return turned if turned != question else None


def followed(question: str, rng: random.Random) -> str:
    """Return a question or request with a sentence behind it that asks for nothing else."""
    if rng.random() < 0.4:
        question = f"{rng.choice(_ASKED_PLAINLY)} {question[0].lower()}{question[1:].rstrip('?. ')}."
    elif rng.random() < 0.4:
        question = question.rstrip("?. ") + rng.choice((".", "\n", "?"))
    return f"{question}{'' if question.endswith(chr(10)) else ' '}{rng.choice(_BEHIND)}"


def asked_inside(question: str, subject: str, rng: random.Random) -> str:
    """Return a question that is asked within a supposition and still about what is the case."""
    q = question if question.startswith(subject) else question[0].lower() + question[1:]
    frame = rng.choice(_ASKED_INSIDE)
    return frame.replace("{Q}", question).replace("{q}", q if frame.endswith("{q}") else q.rstrip("?. "))


def supposed_otherwise(subject: str, statements: tuple[str, ...], rng: random.Random) -> str:
    """Return a question about a change of what is stated, or about the subject in a case that is only supposed."""
    things = [m[1] for m in (re.fullmatch(r"The (.+\{s\}) (?:is|are) \{o\}", s) for s in statements) if m]
    things += [f"{{s}}{m[1]}" for m in (re.fullmatch(r"\{s\}('s .+) (?:is|are) \{o\}", s) for s in statements) if m]
    if things and rng.random() < 0.7:
        thing = rng.choice(things).replace("{s}", subject)
        thing = thing if thing.startswith(subject) else f"the {thing}"
        return rng.choice(_OTHERWISE).replace("{t}", thing)
    return rng.choice(_SUPPOSED_OF).replace("{s}", subject)


def asked_later(template: str, subject: str, kind: str, rng: random.Random) -> str | None:
    """Return a text that names the subject and asks in a later sentence, by a pronoun.

    Args:
        template: a question with ``{s}``.
        kind: of the subject.
    """
    template = template.replace("the {s}", "{s}")
    if template.count("{s}") != 1 or "company {s}" in template:
        return None
    pronoun = rng.choice(_PRONOUN.get(kind, ("it",)))
    before = template.partition("{s}")[0].split()
    last = before[-1].lower() if before else ""
    m = re.fullmatch(r"(.*?)\bthe (\w+(?: \w+)?) of \{s\}(.*)", template)
    if "{s}'s" in template:
        asked = template.replace("{s}'s", _POSSESSIVE[pronoun])
    elif template.startswith("{s}"):
        if pronoun == "they":
            return None
        asked = template.replace("{s}", pronoun)
    elif m and (kind in _PRONOUN or rng.random() < 0.6):
        asked = f"{m[1]}{_POSSESSIVE[pronoun]} {m[2]}{m[3]}"
    elif kind in ("country", "place") and last == "in":
        asked = re.sub(r"\bin \{s\}", "there", template)
    elif last in ("is", "was", "does", "did", "has", "will", "are", "have", "do"):
        verb = _AGREE.get(last, last) if pronoun == "they" else last
        asked = re.sub(rf"\b{last} \{{s\}}", f"{verb} {pronoun}", template, flags=re.IGNORECASE)
    else:
        asked = template.replace("{s}", _OBJECTIVE[pronoun])
    asked = asked[0].upper() + asked[1:]
    first = rng.choice(_FIRST.get(kind, _FIRST_OF_ANY) if rng.random() < 0.5 else _FIRST_OF_ANY)
    between = rng.choice(("", "", "", "Can you help me? ", "Just tell me: ", "So: "))
    if between == "Just tell me: " or between == "So: ":
        asked = asked[0].lower() + asked[1:]
    return f"{first.replace('{s}', subject)} {between}{asked}"


__all__ = ["asked_inside", "asked_later", "followed", "of_the_past", "of_today", "supposed_otherwise"]
