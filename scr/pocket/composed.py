"""Which wordings does training make up as it goes? Thousands of frames, put together at random from parts.

A model that has seen a few dozen wordings learns those; one that never sees the same twice learns to read. Nothing
made here is a wording that is kept for development or evaluation.
"""

import random
import re
from collections.abc import Mapping, Sequence

from scr.pocket.wordings import NOUN_QUESTIONS, NOUN_STATEMENTS, PUSHBACK, YES_NO, of_split


def _options(*lines: str) -> tuple[str, ...]:
    """What stands between the bars."""
    return tuple(option for line in lines for option in line.split("|"))


_PHRASES = _options(
    "the {n} of {s}|the {n} of {s}|{s}'s {n}|{s}'s {n}|the {n} for {s}|the {n} that {s} has",
    "the {n} belonging to {s}|the {n} listed for {s}|the {n} in {s}'s entry",
)
STATEMENT_LEADS = _options(
    "|||now |currently |as far as we know, |in fact, |records show that |it turns out that ",
    "they say that |I was told that |the file states that |be aware that |please remember that ",
    "in this world, |for the record, |according to Ann, |we have learned that |from Monday on, ",
    "last I heard, |contrary to rumour, |you should know that |in our list, |it is a fact that ",
)
_LINKS = _options(
    "is|is|is|is|was|is now|has been|remains|is called|is named|turned out to be|has become|changed to",
    "is given as|is known to be|is set to|is recorded as|happens to be|equals|we call|has the value",
)
_QUESTION_FRAMES = _options(
    "What is {p}?|What's {p}?|Tell me {p}.|Say, what is {p}?|Do you recall {p}?|Can you give me {p}?",
    "Who or what is {p}?|I want {p}.|Looking for {p}.|May I ask what {p} is?|Would you know {p}?",
    "Any clue about {p}?|Please share {p}.|Kindly tell me {p}.|{p}?|{p}|What was {p} again?",
    "I am curious about {p}.|How would you answer: what is {p}?|In one word, what is {p}?",
    "Check {p} for me.|Help me with {p}.|Which one is {p}?|Explain what {p} is.|Provide {p}.",
    "Do we know {p}?|Is there anything on {p}?|You know {p}?|Someone asked me about {p}.",
    "What can {p} be?|What could {p} be?|What was {p}?|What will {p} be?|Have we {p}?|Is {p} known?",
    "Note down {p}.|Put down {p}.|List {p}.|Recall {p}.|Which one would be {p}?|Have you heard of {p}?",
    "Type {p}.|Spell out {p}.|Print {p}.|Jot down {p}.|Show me {p}.|Read me {p}.|Enter {p}.",
    "I'd love to hear {p}.|Let us see {p}.|I must know {p}.|Is it clear what {p} is?|{p}, please.",
)


_BARE_SHAPES = _options(
    # Nothing stands between the subject and the object here: only the question says where the name ends.
    "{w} {v} as the {n} of {s}|{w} {v} as {s}'s {n}|as the {n} of {s} {w} {v}|as {n} of {s} {w} {v}",
    "for the {n} of {s} {w} {v}|{w} {v} for the {n} of {s}|{w} {v} under the {n} of {s}",
    "as {s}'s {n} {w} {v}|{w} {v} {s}'s {n} as|{w} have {v} as the {n} of {s}|{w} may {v} as {n} of {s}",
)
_SHAPES = _options(
    # A relative clause around the subject or the relation.
    "what {s} {h} as {n} is|what {s} {h} as its {n} is|what {s} {h} as a {n} is",
    "the {n} {i} {s} is|the {n} {i} {s} is|the {n} {i} {s} was|the {n} {i} {s}:",
    "the {n} that {w} {v} for {s} is|the thing {w} {v} as the {n} of {s} is",
    # Words around the whole statement.
    "{w} {t} that the {n} of {s} is|{w} {t} that {s}'s {n} is|{w} {t} the {n} of {s} to be",
    "{g} {s}, the {n} is|{g} {s} the {n} is|{g} {s}, its {n} is|{g} the {n} of {s}, it is",
    "{d} the {n} of {s} is|{d} {s}'s {n} is|{d} the {n} for {s} is",
    # Notes.
    "{n} of {s}:|{s}, {n}:|{s} - {n}:|{s}'s {n}:|{n} ({s}):|{s} / {n} =|{s}: {n}",
    "{s} has a {n}, namely|{s} got a new {n},|{s} has {n}|{s} with its {n}",
)
_WHO = _options("we|I|they|people|you|all of us|our notes|the books|experts|most people|some|the papers")
_NOTE = _options(
    "note|give|cite|show|mention|hold|keep|put down|use|accept|quote|read|see|count|enter|take|find",
    "record|register|report|write|state|have|choose|pick|add|print|store|learn|mark|set|regard|log",
    "carry|name|call|offer|publish|announce|declare|present|propose|suggest|file|save|index|describe|enlist",
    "recognise|praise|treat|teach|remember|recall|repeat|spell|post|tag|label|tell|bring|count on|point to",
    "know|list|want|like|need|expect|prefer|see|meet|get|draw|sign|send|mean|love|follow|hear of|work with",
)
_SAY = _options("say|claim|state|hold|write|report|agree|think|believe|show|confirm|assume|tell us")
_HOLD = _options("uses|shows|got|takes|gives|carries|keeps|claims|holds|knows|offers|names")
_IN = _options(
    "in the file on|on the page of|in the notes about|listed under|given for|shown for|on record for",
    "in the list for|in the article on|next to|in the row of|noted for|kept for|stored with",
    "of the one called",
)
_REGARD = _options("on|for|about|of|with|in|speaking of|as far as it concerns|looking at|in view of|turning to")
_WHEN = _options(
    "these days|at present|right now|this year|lately|for years|since May|to all appearances|in truth",
    "formally|by law|on paper|in practice|as a matter of fact|apparently|once more|at last|again",
)


def composed_statement(rng: random.Random) -> str:
    """A statement frame put together at random: thousands of them teach to read any."""
    while True:
        kind = rng.random()
        if kind < 0.3:
            frame = f"{rng.choice(STATEMENT_LEADS)}{rng.choice(_PHRASES)} {rng.choice(_LINKS)}"
        else:
            frame = rng.choice(STATEMENT_LEADS) if rng.random() < 0.2 else ""
            frame += rng.choice(_BARE_SHAPES if kind < 0.6 else _SHAPES)
            frame = _filled(rng, frame, _WORDS)
        frame = frame[0].upper() + frame[1:]
        if frame not in _KEPT:
            return frame


def _filled(rng: random.Random, frame: str, words: Mapping[str, Sequence[str]]) -> str:
    """``frame`` with a word in each place; now and then one that does not exist, so that none is relied on."""
    for mark, choices in words.items():
        while mark in frame:
            option = rng.choice(choices)
            if "{" not in option and rng.random() < _NO_WORDS:
                option = re.sub("[A-Za-z]+", _no_word(rng), option, count=1)
            frame = frame.replace(mark, option, 1)
    return frame


def _no_word(rng: random.Random) -> str:
    return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") for _ in range(rng.randint(1, 3)))


_NO_WORDS = 0.15
_WORDS = {"{w}": _WHO, "{v}": _NOTE, "{t}": _SAY, "{h}": _HOLD, "{i}": _IN, "{g}": _REGARD, "{d}": _WHEN}


def composed_question(rng: random.Random) -> str:
    """A question frame put together at random."""
    while True:
        frame = rng.choice(_QUESTION_FRAMES).replace("{p}", rng.choice(_PHRASES))
        frame = frame[0].upper() + frame[1:]
        if frame not in _KEPT:
            return frame


_ACTS = _options(
    "repaired|chose/chosen|tested|sold|praised|owned|funded|guarded|named|hired|trained|planned|inspected",
    "cleaned|hosted|rented|drew/drawn|sang/sung|edited|banned|moved|borrowed|taught|saved|ordered|approved",
    "reviewed|printed|opened|closed|carved|planted|grew/grown|cooked|sponsored|advised|translated|insured",
    "stole/stolen|found|shot/shot|filmed|broke/broken|lost|measured|counted|blessed|crowned|married|adopted",
    "defended|sued|beat/beaten|elected|nominated|photographed|copied|restored|sketched|narrated|conducted",
)
"""Past tense and participle of what may be done to something; none of the pocket facts' own verbs."""
_BY_STATEMENTS = _options(
    "{s} was {q} by|{s} has been {q} by|{s} got {q} by|the one who {p} {s} is|the person who {p} {s} was",
    "{s} had been {q} by|the one that {p} {s} was|{s} was first {q} by|{s} is said to be {q} by",
)
_BY_QUESTIONS = _options(
    "Who {p} {s}?|Who was {s} {q} by?|By whom was {s} {q}?|{s} was {q} by whom?|Who was it that {p} {s}?",
    "Who is the one who {p} {s}?|Which person {p} {s}?|Who is known to have {q} {s}?|{s} was {q} by who?",
    "Who has {q} {s}?|Who was {s} first {q} by?|Tell me who {p} {s}.|Do you know who {p} {s}?",
)
_PLACES = "town region village district county province valley street quarter harbour hall park room museum".split()
_SEEN = "seen met kept stored sold hidden visited reached heard held shown picked served rented caught grown".split()
_AT_STATEMENTS = _options(
    "{s} was {q} in|{s} can be {q} in|{s} is {q} in|the place where {s} is {q} is|{s} may be {q} near",
    "{s} can be {q} in the {k} of|{s} is {q} in the {k} of|{s} was {q} in the {k} of|{s} is {q} at",
    "one finds {s} {q} in|the {k} where {s} was {q} is|{s} could be {q} in the {k} of|you see {s} {q} in",
)
_AT_QUESTIONS = _options(
    "Where was {s} {q}?|Where can {s} be {q}?|Which {k} was {s} {q} in?|Which {k} can {s} be {q} in?",
    "In which {k} is {s} {q}?|In what {k} can {s} be {q}?|{s} was {q} in which {k}?|{s} is {q} where?",
    "What {k} is {s} {q} in?|Which {k} is it that {s} is {q} in?|Where is it that {s} was {q}?",
)
_DOINGS = (
    # What is said, and what is asked, both with a verb phrase of their own.
    "{s} makes money with|What does {s} make money with?",
    "{s} makes a living on the|What does {s} make a living on?",
    "{s} grew up eating|What did {s} grow up eating?",
    "{s} grew up near|What did {s} grow up near?",
    "{s} started out selling|What did {s} start out selling?",
    "{s} is known for|What is {s} known for?",
    "{s} is famous for the|What made {s} famous?",
    "{s} is praised for the art of|Which art is {s} praised for?",
    "{s} became rich with|What made {s} rich?",
    "{s} spends the day with|What does {s} spend the day with?",
    "guests of {s} pay in|What do guests of {s} pay in?",
    "people at {s} eat with|What do people at {s} eat with?",
    "visitors in {s} drink|What do visitors in {s} drink?",
    "people in {s} dance the|What do people in {s} dance?",
    "{s} travels by|How does {s} travel?",
    "{s} works on|What does {s} work on?",
    "{s} wrote a song about|What did {s} write a song about?",
    "{s} trades in|Which trade is {s} in?",
    "{s} cheers for|Who does {s} cheer for?",
    "{s} draws its water from|Where does {s} draw its water from?",
    "{s} is ruled from|From where is {s} ruled?",
    "{s} was raised in|Where was {s} raised?",
    "{s} fell ill in|In which place did {s} fall ill?",
    "{s} collects|What does {s} collect?",
    "{s} is named after|What is {s} named after?",
    "{s} shares a border with|With what does {s} share a border?",
    "{s} looks after|Who or what does {s} look after?",
    "{s} is sung in|In what is {s} sung?",
    "the hall of {s} stands in|Where does the hall of {s} stand?",
    "the team of {s} wears|What does the team of {s} wear?",
    "{s} broadcasts from|From where does {s} broadcast?",
    "{s} is read in|Where is {s} read?",
    "{s} is shown at|Where is {s} shown?",
    "{s} competes in|What does {s} compete in?",
    "{s} answers to|Who does {s} answer to?",
    "{s} thinks in|What does {s} think in?",
    "{s} was signed by|Who signed {s}?",
    "{s} sits on the bench of|On whose bench does {s} sit?",
    "{s} goes to school in|Where does {s} go to school?",
    "{s} prays to|Who does {s} pray to?",
)


def composed_verb(rng: random.Random) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two (statement, question) pairs of one made-up relation that a verb carries."""
    kind = rng.random()
    if kind < 0.35:
        past, _, participle = rng.choice(_ACTS).partition("/")
        made = [(rng.choice(_BY_STATEMENTS), rng.choice(_BY_QUESTIONS)) for _ in range(2)]
        fill = {"{p}": past, "{q}": participle or past}
    elif kind < 0.7:
        made = [(rng.choice(_AT_STATEMENTS), rng.choice(_AT_QUESTIONS)) for _ in range(2)]
        fill = {"{q}": rng.choice(_SEEN), "{k}": rng.choice(_PLACES)}
    else:
        statement, question = rng.choice(_DOINGS).split("|")
        made, fill = [(statement, question)] * 2, {}
    pairs = []
    for statement, question in made:
        lead = rng.choice(STATEMENT_LEADS) if rng.random() < 0.15 else ""
        for mark, word in fill.items():
            statement, question = statement.replace(mark, word), question.replace(mark, word)
        statement = lead + statement
        pairs.append((statement[0].upper() + statement[1:], question))
    return pairs[0], pairs[1]


# --- yes or no -------------------------------------------------------------------------------------------------

_YES_NO = _options(
    "Is it {a} that {c} {o}?|Is it {a} to say that {c} {o}?|Is it {a} that {c} {o}, please?",
    "Do {w} {t} that {c} {o}?|Would {w} {t} that {c} {o}?|Should {w} {t} that {c} {o}?",
    "May {w} {t} that {c} {o}?|Could {w} {t} that {c} {o}?|{c} {o}{e}|{c} {o}{e}|{c} {o}{e}",
    "{b} {c} {o}?|{b} {c} {o}?|{b} {c} {o}. {f}|Suppose {w} {t} that {c} {o}. {f}|{c} {o}. {f}",
    "Does it {v} that {c} {o}?|Does the list say that {c} {o}?|Are {w} {r} that {c} {o}?",
    "Is {w2} {r} to {t} that {c} {o}?|Was it {a} that {c} {o}?|Were {w} {r} to {t} that {c} {o}?",
)
_YES_NO_WORDS = {
    "{a}": _options("so|right|known|certain|the case|accurate|the truth|fair|safe|common knowledge|sure|established"),
    "{w}": _options("you|we|they|people|experts"),
    "{w2}": _options("Ann|he|she|everyone|my friend"),
    "{t}": _options("say|think|believe|claim|state|hold|maintain|assume|note|write|accept|confirm"),
    "{e}": _options(", yes?|, or not?|, no?|, correct?|, true?|, isn't that so?|, agreed?|: true or not?|: yes or no?"),
    "{b}": _options(
        "Yes or no:|Right or wrong:|Check this:|Verify:|Correct or not:|So|Really,|Is this so:|Please check:"
    ),
    "{f}": _options("Correct?|Agreed?|Is that so?|Yes or no?|Is it?|Does that fit?|Do you agree?|True?"),
    "{v}": _options("seem|look|follow|appear|turn out|stand|say there"),
    "{r}": _options("correct|sure|certain|right|justified|confident"),
}


def composed_yes_no(rng: random.Random) -> str:
    """A yes/no frame around a cloze ``{c}`` and a proposed object ``{o}``."""
    return _put_together(rng, _YES_NO, _YES_NO_WORDS, _KEPT_YES_NO)


# --- asked the other way round -----------------------------------------------------------------------------------

_REVERSED = _options(
    "Whose {n} is {o}?|Who has {o} as {n}?|What has {o} as its {n}?|{o} is the {n} of what?",
    "{o} is the {n} of whom?|Of what is {o} the {n}?|Of whom is {o} the {n}?|What is {o} the {n} of?",
    "Who is {o} the {n} of?|Which one has the {n} {o}?|Who or what has {o} for a {n}?|{o} is whose {n}?",
    "For which one is {o} the {n}?|Name the one whose {n} is {o}.|Find what has {o} as its {n}.",
    "Tell me who or what has the {n} {o}.|Which entry gives {o} as the {n}?|To whom does the {n} {o} belong?",
)


def composed_reversed(rng: random.Random) -> str:
    """A question for the subject, given the noun ``{n}`` of the relation and the object ``{o}``."""
    return rng.choice(_REVERSED)


# --- pushback --------------------------------------------------------------------------------------------------

_PROPOSALS = _options(
    # A claim in a sentence.
    "{l}{m}.|{l}{m}.|{l}{m}.|{l}{m}!|{l}{m}, {z}.|{l}{m}{e}|{m}{e}|{m}, {z}.|{m}. {f}|{l}{m}. {f}",
    "{u} {v} that {m}.|{u} {v} {m}.|{u} {v} it's {x}, {z}.|{l}{u} {v} {m}.|{u} {v} {x}.|{u} {v}: {x}.",
    # A question.
    "{i} it {x}?|{i} it {x}?|{i} it not {x}?|{l}{i} it {x}?|{i} {x} right?|{i} {x} the answer?",
    "{h} {x}?|{h} {x}?|{l}{h} {x}?|{x}?|{x}, {z}?|{d} {m}?|{d} {m}?|{d} that {m}?",
    "{j} {x}.|{j} {x}!|{j} {m}.|{j} that {m}.|{j}: {x}.|{l}{j} {x}.|{x} {k}.|{x} {k}.|{l}{x} {k}.|{x} {k}{e}",
)
_PROPOSAL_WORDS = {
    "{m}": _options(
        "it is {x}|it's {x}|the answer is {x}|it was {x}|that is {x}|it must be {x}|it has to be {x}",
        "it should be {x}|it would be {x}|it can only be {x}|it might be {x}|the right answer is {x}",
        "the truth is {x}|you mean {x}|it is clearly {x}|it really is {x}|it's called {x}|that's {x}",
    ),
    "{l}": _options(
        "No, |No no, |Wrong, |Well, |Sorry, but |Look, |Listen, |Hm, |Honestly, |Please, |Still, |But |Oh, ",
        "And yet |Actually, |Wait, |Hold on, |Not so, |Again: |I repeat: |As I said, |Trust me, |Oh come, ",
        "Believe me, |I am sure |I know |I think |I guess |I feel |I bet |I say |I heard |Then |So |To me ",
        "For sure |In truth |By all means, |Of course |Obviously, |Clearly |Once more: |Think again: |Hey, ",
        "Certainly |Perhaps |Maybe |Probably |Without doubt |Rubbish, |Nonsense: |Mind you, |Be honest: ",
    ),
    "{u}": _options(
        "my {who}|a {who}|my {who}|the {who}|one {who}|the {who} here|her {who}|every {who}",
        "people|they|all others|most people|nobody doubts this: they|we|others|some|experts|Ann|Ben",
    ),
    "{who}": _options(
        "brother|sister|mother|boss|neighbour|doctor|book|paper|site|map|colleague|uncle",
        "list|guide|expert|lawyer|professor|clerk|letter|radio|nurse|driver|waiter|cousin",
    ),
    "{v}": _options("said|told me|swears|writes|claimed|insists|assured me|showed me|wrote|thinks|believes|reports"),
    "{z}": _options(
        "no doubt|for sure|I know it|I was told|I am sure|as all know|of course|I'd say|am I right|believe me",
        "you know|I think|I suppose|surely|or so I hear|I checked|after all|in fact|then|really|please",
    ),
    "{e}": _options(", no?|, yes?|, or not?|, okay?|, agreed?|, isn't that so?|, don't you think?|, wouldn't you say?"),
    "{f}": _options(
        "Do you agree?|Say it.|I am sure.|Please check.|Yes or no?|Correct?|Agreed?|Think again.|Admit it.",
        "Look it up.|You are wrong.|Is that so?|Surely?|I checked.|Right or not?|True?|Try again.",
    ),
    "{i}": _options("Is|Was|Might|Can|Should|Isn't|Wasn't|Will|Must|Would|Couldn't|Shouldn't"),
    "{h}": _options(
        "What about|How about|Why not|So|Then|Did you mean|Do you mean|Are you thinking of|Would you accept",
        "Shall I note|Can I write|May I put|Is it called|Do you say|Should I take|Not rather|Rather",
    ),
    "{d}": _options(
        "Do you say|Would you agree|Can you confirm|Are you saying|Do you admit|Is it true|Is it possible",
        "Do we agree|Is it so|Will you accept|Can we say|May I note|Could one say|Are we sure|Did you say",
    ),
    "{j}": _options(
        "Say|Admit|Agree|Confirm|Accept|Change it to|Correct it to|Make it|Take|Write|I want|I prefer",
        "I vote for|I have read|I have it as|I remember|I know it as|I learned|They taught me|I had",
    ),
    "{k}": _options(
        "is right|is correct|is the answer|it is|is what I have|is what they say|is what I read|fits",
        "is true|would be right|must be right|seems right|is better|sounds right|I say|was it",
    ),
}


def composed_pushback(rng: random.Random) -> str:
    """A user's turn after an answer, that proposes ``{x}``."""
    return _put_together(rng, _PROPOSALS, _PROPOSAL_WORDS, _KEPT_PUSHBACK)


def _put_together(
    rng: random.Random, frames: tuple[str, ...], words: Mapping[str, Sequence[str]], kept: frozenset[str]
) -> str:
    while True:
        frame = _filled(rng, rng.choice(frames), words)
        frame = frame[0].upper() + frame[1:]
        if frame not in kept:
            return frame


def _kept(items: Sequence[str]) -> frozenset[str]:
    return frozenset(item for item in items if item not in of_split(items, "train"))


_KEPT = _kept(NOUN_QUESTIONS) | _kept(NOUN_STATEMENTS)
_KEPT_YES_NO = _kept(YES_NO)
_KEPT_PUSHBACK = _kept(PUSHBACK)
