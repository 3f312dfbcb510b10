"""How do people state and ask everyday facts? Wordings of our own, for generated training rows.

A relation has statements with ``{s}`` (subject) and ``{o}`` (answer), the same as prompts that stop before the answer,
and questions. Notes are facts without a subject of their own, as a team writes them down, each with questions it
governs and near ones that it does not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from memory_store.edit import Edit


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing that can be asked of a kind of subject."""

    kind: str
    statements: tuple[str, ...]
    """Each ends in ``{o}``."""
    questions: tuple[str, ...]
    answers: tuple[str, ...]


COUNTRY, COMPANY, PERSON, WORK, PRODUCT, PLACE = "country", "company", "person", "work", "product", "place"

SUBJECTS: dict[str, tuple[str, ...]] = {
    COUNTRY: tuple(
        (
            "Austria Brazil Chile Denmark Egypt Finland Ghana Hungary Iceland Jordan Kenya Latvia Mexico Nepal Oman "
            "Peru Qatar Rwanda Sweden Turkey Uganda Vietnam Yemen Zambia Belgium Canada India Japan Poland Portugal"
        ).split()
    ),
    COMPANY: (
        "Northwind Traders",
        "Initech",
        "Umbra Systems",
        "Hooli",
        "Vandelay Industries",
        "Stark Logistics",
        "Wayne Foods",
        "Pied Piper",
        "Contoso",
        "Fabrikam",
        "Tailspin Toys",
        "Blue Yonder Airlines",
        "Lakeside Bank",
        "Orion Robotics",
        "Siemens",
        "Toyota",
        "Nestlé",
        "Spotify",
    ),
    PERSON: (
        "Marie Curie",
        "Anton Bergmann",
        "Lucía Ortega",
        "Kwame Mensah",
        "Priya Raman",
        "Tom Hanks",
        "Angela Merkel",
        "Hiro Tanaka",
        "Elena Petrova",
        "Samuel Osei",
        "Grace Lindqvist",
        "Ada Lovelace",
        "Omar Haddad",
        "Nina Simone",
        "Roger Federer",
        "Jean-Luc Martel",
    ),
    WORK: (
        "The Glass Orchard",
        "Midnight Ferry",
        "War and Peace",
        "A Winter in Oslo",
        "The Copper Crown",
        "Silent Running",
        "The Lantern Road",
        "Seven Bridges",
        "Paper Moons",
        "Dune",
        "The Last Cartographer",
        "Hamlet",
    ),
    PRODUCT: (
        "Basic plan",
        "Gold plan",
        "Nimbus 3 vacuum",
        "Trailblazer tent",
        "Aurora laptop",
        "Starter kit",
        "Model X200 printer",
        "Family ticket",
        "Kestrel bicycle",
        "Enterprise licence",
        "Polar jacket",
    ),
    PLACE: (
        "Central Library",
        "Harbour Museum",
        "Riverside Park",
        "Brandenburg Gate",
        "the main warehouse",
        "City Hall",
        "Golden Gate Bridge",
        "Lotus Temple",
        "the Hamburg office",
        "Old Town Theatre",
        "Mount Kenya",
    ),
}

_NAMES = ("Ivo Marek", "Sana Iqbal", "Clara Duval", "Peter Novak", "Amina Diallo", "Luke Barton", "Yuki Mori")
_CITIES = ("Toledo", "Graz", "Osaka", "Leeds", "Accra", "Porto", "Tampere", "Quito", "Bergen", "Malmö")
_YEARS = ("1871", "1902", "1949", "1968", "1987", "2003", "2014", "2021")

RELATIONS: dict[str, Relation] = {
    "capital": Relation(
        COUNTRY,
        ("The capital of {s} is {o}", "{s}'s capital is {o}", "The capital city of {s} is {o}"),
        (
            "What is the capital of {s}?",
            "What's {s}'s capital city?",
            "Which city is the capital of {s}?",
            "{s} has which capital?",
            "Name the capital of {s}.",
        ),
        _CITIES,
    ),
    "currency": Relation(
        COUNTRY,
        ("The currency of {s} is {o}", "{s}'s currency is {o}", "People in {s} pay with {o}"),
        (
            "What is the currency of {s}?",
            "Which currency is used in {s}?",
            "What money do they use in {s}?",
            "With what does one pay in {s}?",
        ),
        ("the florin", "the thaler", "the peso", "the crown", "the euro"),
    ),
    "language": Relation(
        COUNTRY,
        ("The official language of {s} is {o}", "In {s} people speak {o}"),
        ("What is the official language of {s}?", "Which language is spoken in {s}?", "What do people speak in {s}?"),
        ("Basque", "Latin", "Quechua", "Danish", "Tamil"),
    ),
    "president": Relation(
        COUNTRY,
        ("The president of {s} is {o}", "{s}'s president is {o}", "The head of state of {s} is {o}"),
        ("Who is the president of {s}?", "Who is {s}'s head of state?", "Who leads {s} as president?"),
        _NAMES,
    ),
    "population": Relation(
        COUNTRY,
        ("The population of {s} is {o}", "The number of people living in {s} is {o}"),
        ("What is the population of {s}?", "How many people live in {s}?", "How many inhabitants does {s} have?"),
        ("4 million", "12.5 million", "880,000", "61 million"),
    ),
    "continent": Relation(
        COUNTRY,
        ("{s} is located in the continent of {o}", "The continent of {s} is {o}"),
        ("On which continent is {s}?", "Which continent does {s} belong to?", "What continent is {s} part of?"),
        ("Africa", "Oceania", "Antarctica", "South America"),
    ),
    "ceo": Relation(
        COMPANY,
        (
            "The CEO of {s} is {o}",
            "{s} is led by {o}",
            "The chief executive officer of {s} is {o}",
            "{s}'s boss is {o}",
        ),
        (
            "Who is the CEO of {s}?",
            "Who runs {s}?",
            "Who is the chief executive of {s}?",
            "Who is in charge of {s}?",
            "{s}'s CEO is who?",
        ),
        _NAMES,
    ),
    "founder": Relation(
        COMPANY,
        ("{s} was founded by {o}", "The founder of {s} is {o}"),
        ("Who founded {s}?", "Who is the founder of {s}?", "Who started {s}?", "Who set up the company {s}?"),
        _NAMES,
    ),
    "headquarters": Relation(
        COMPANY,
        ("The headquarters of {s} is in {o}", "{s} is based in {o}", "{s} has its head office in {o}"),
        (
            "Where is {s} based?",
            "Where is the headquarters of {s}?",
            "In which city does {s} have its head office?",
            "What city is {s} headquartered in?",
        ),
        _CITIES,
    ),
    "founding year": Relation(
        COMPANY,
        ("{s} was founded in {o}", "{s} was established in the year {o}"),
        ("When was {s} founded?", "In what year was {s} established?", "How old is the company {s}?"),
        _YEARS,
    ),
    "employees": Relation(
        COMPANY,
        ("The number of employees of {s} is {o}", "{s} has a staff of {o}"),
        ("How many people work at {s}?", "How many employees does {s} have?", "How big is the staff of {s}?"),
        ("120", "4,500", "31", "18,000"),
    ),
    "phone": Relation(
        COMPANY,
        ("The phone number of {s} is {o}", "{s} can be called at {o}"),
        ("What is the phone number of {s}?", "How can I call {s}?", "What number do I dial to reach {s}?"),
        ("555-0199", "030 222 18", "+44 20 7946 0000"),
    ),
    "email": Relation(
        COMPANY,
        ("The email address of {s} is {o}", "Mail for {s} goes to {o}"),
        ("What is the email address of {s}?", "Where do I send mail for {s}?", "How can I email {s}?"),
        ("hello@example.com", "office@example.org"),
    ),
    "birthplace": Relation(
        PERSON,
        ("{s} was born in {o}", "The birthplace of {s} is {o}", "The place of birth of {s} is {o}"),
        (
            "Where was {s} born?",
            "What is the birthplace of {s}?",
            "In which city was {s} born?",
            "Which town does {s} come from?",
        ),
        _CITIES,
    ),
    "birth year": Relation(
        PERSON,
        ("{s} was born in the year {o}", "The birth year of {s} is {o}"),
        ("When was {s} born?", "In what year was {s} born?", "What is {s}'s year of birth?"),
        _YEARS,
    ),
    "death place": Relation(
        PERSON,
        ("{s} died in {o}", "The place of death of {s} is {o}"),
        ("Where did {s} die?", "In which city did {s} pass away?", "What is {s}'s place of death?"),
        _CITIES,
    ),
    "spouse": Relation(
        PERSON,
        ("{s} is married to {o}", "The spouse of {s} is {o}"),
        ("Who is {s} married to?", "Who is the spouse of {s}?", "What's the name of {s}'s husband or wife?"),
        _NAMES,
    ),
    "job": Relation(
        PERSON,
        ("The occupation of {s} is {o}", "{s} works as {o}", "By profession {s} is {o}"),
        (
            "What is the occupation of {s}?",
            "What does {s} do for a living?",
            "What's {s}'s job?",
            "What is {s} by trade?",
        ),
        ("a chemist", "a plumber", "a cellist", "a pilot"),
    ),
    "employer": Relation(
        PERSON,
        ("{s} works for {o}", "The employer of {s} is {o}", "{s} is employed by {o}"),
        ("Who does {s} work for?", "Which company employs {s}?", "Who is the employer of {s}?", "Where does {s} work?"),
        ("Initech", "the BBC", "Lakeside Bank"),
    ),
    "citizenship": Relation(
        PERSON,
        ("{s} is a citizen of {o}", "The nationality of {s} is {o}"),
        ("What is {s}'s nationality?", "Which country is {s} a citizen of?", "What passport does {s} hold?"),
        ("Iceland", "Ghana", "Peru"),
    ),
    "mother tongue": Relation(
        PERSON,
        ("The mother tongue of {s} is {o}", "{s}'s native language is {o}", "{s} speaks {o}"),
        (
            "What is {s}'s first language?",
            "Which language does {s} speak natively?",
            "What is the mother tongue of {s}?",
        ),
        ("Basque", "Tamil", "Welsh"),
    ),
    "instrument": Relation(
        PERSON,
        ("{s} plays the {o}", "The instrument of {s} is the {o}"),
        (
            "Which instrument does {s} play?",
            "What does {s} play in the band?",
            "What musical instrument is {s} known for?",
        ),
        ("harp", "tuba", "drums"),
    ),
    "school": Relation(
        PERSON,
        ("{s} studied at {o}", "The alma mater of {s} is {o}"),
        ("Where did {s} study?", "Which university did {s} attend?", "Where did {s} get a degree?"),
        ("Uppsala University", "MIT", "the Sorbonne"),
    ),
    "author": Relation(
        WORK,
        ("The author of {s} is {o}", "{s} was written by {o}"),
        ("Who wrote {s}?", "Who is the author of {s}?", "Whose book is {s}?", "By whom was {s} written?"),
        _NAMES,
    ),
    "publication year": Relation(
        WORK,
        ("{s} was published in {o}", "{s} came out in {o}"),
        ("When was {s} published?", "In what year did {s} come out?", "What is the release year of {s}?"),
        _YEARS,
    ),
    "hero": Relation(
        WORK,
        ("The main character of {s} is {o}", "The hero of {s} is {o}"),
        ("Who is the main character in {s}?", "Who is the protagonist of {s}?", "Who is the hero of {s}?"),
        _NAMES,
    ),
    "setting": Relation(
        WORK,
        ("{s} is set in {o}", "The story of {s} takes place in {o}"),
        ("Where is {s} set?", "In which city does {s} take place?", "Where does the story of {s} happen?"),
        _CITIES,
    ),
    "original language": Relation(
        WORK,
        ("The original language of {s} is {o}", "{s} was first written in {o}"),
        ("In which language was {s} written?", "What is the original language of {s}?"),
        ("Basque", "Danish", "Latin"),
    ),
    "price": Relation(
        PRODUCT,
        ("The price of the {s} is {o}", "The {s} costs {o}", "The {s} sells for {o}"),
        (
            "How much is the {s}?",
            "What does the {s} cost?",
            "What's the price of the {s}?",
            "How much do I pay for the {s}?",
        ),
        ("19 euros", "$240", "99 dollars a month"),
    ),
    "warranty": Relation(
        PRODUCT,
        ("The warranty of the {s} lasts {o}", "The {s} is covered for {o}"),
        (
            "How long is the warranty of the {s}?",
            "For how long is the {s} under warranty?",
            "Is the {s} guaranteed, and how long?",
        ),
        ("two years", "18 months", "90 days"),
    ),
    "colour": Relation(
        PRODUCT,
        ("The {s} comes in {o}", "The colour of the {s} is {o}"),
        ("Which colour does the {s} have?", "What colors is the {s} available in?", "What colour is the {s}?"),
        ("dark green", "silver", "red and white"),
    ),
    "weight": Relation(
        PRODUCT,
        ("The weight of the {s} is {o}", "The {s} weighs {o}"),
        ("How heavy is the {s}?", "How much does the {s} weigh?", "What is the weight of the {s}?"),
        ("1.2 kg", "14 pounds"),
    ),
    "location": Relation(
        PLACE,
        ("{s} is located in {o}", "{s} is in {o}", "{s} can be found in {o}"),
        ("Where is {s}?", "In which city is {s}?", "Where can I find {s}?", "Where is {s} located?"),
        _CITIES,
    ),
    "opening": Relation(
        PLACE,
        ("{s} opens at {o}", "The opening time of {s} is {o}"),
        ("When does {s} open?", "At what time does {s} open?", "From when can people get into {s}?"),
        ("8 am", "10:30", "noon"),
    ),
    "closing": Relation(
        PLACE,
        ("{s} closes at {o}", "The closing time of {s} is {o}"),
        ("When does {s} close?", "Until when is {s} open?", "At what time does {s} shut?"),
        ("6 pm", "22:00", "midnight"),
    ),
    "manager": Relation(
        PLACE,
        ("The manager of {s} is {o}", "{s} is managed by {o}"),
        ("Who manages {s}?", "Who is the manager of {s}?", "Who is responsible for {s}?"),
        _NAMES,
    ),
    "height": Relation(
        PLACE,
        ("The height of {s} is {o}", "{s} is as tall as {o}"),
        ("How tall is {s}?", "What is the height of {s}?", "How high is {s}?"),
        ("52 metres", "300 feet"),
    ),
    "architect": Relation(
        PLACE,
        ("The architect of {s} is {o}", "{s} was designed by {o}"),
        ("Who designed {s}?", "Who was the architect of {s}?", "Who drew the plans for {s}?"),
        _NAMES,
    ),
}

ALIKE = (
    frozenset(("founder", "ceo", "manager")),
    frozenset(("location", "headquarters")),
    frozenset(("job", "employer", "instrument")),
    frozenset(("phone", "email")),
)
"""Relations too near to stand as each other's wrong question without doubt."""

NOTES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Invoices are paid within 14 days.",
        ("How fast are invoices paid?", "What is the payment term for invoices?", "When do we pay invoices?"),
        ("Who approves invoices?", "How fast are packages shipped?", "Where do I send an invoice?"),
    ),
    (
        "The staff car park closes at 8 pm.",
        ("When does the staff car park close?", "Until when can staff park?", "closing time of the staff car park?"),
        ("When does the canteen close?", "How much is a parking space?", "When does the staff car park open?"),
    ),
    (
        "Orders above 50 euros ship for free.",
        ("From what amount is shipping free?", "When do orders ship for free?", "Is shipping free above 50 euros?"),
        ("How long does shipping take?", "Can I return an order?", "Which carriers do we use?"),
    ),
    (
        "The vacation policy allows 27 days a year.",
        ("How many vacation days do we get?", "What does the vacation policy allow?", "how many days off per year?"),
        ("How do I report sick?", "When is the next holiday?", "How many vacation days did Anna take?"),
    ),
    (
        "Password resets are handled by the service desk.",
        ("Who handles password resets?", "Who resets my password?", "Where do I go for a password reset?"),
        ("How long must a password be?", "Who handles hardware orders?", "When is the service desk open?"),
    ),
    (
        "The quarterly report is due on the fifth working day.",
        ("When is the quarterly report due?", "What's the deadline of the quarterly report?"),
        ("Who writes the quarterly report?", "When is the annual report due?", "How long is the quarterly report?"),
    ),
    (
        "Our headquarters moved to Rotterdam in March.",
        ("Where is our headquarters now?", "Where did our headquarters move to?", "When did our headquarters move?"),
        ("Who leads our headquarters?", "Where is our warehouse?", "When did our website change?"),
    ),
    (
        "Customer data is kept for six years.",
        ("How long do we keep customer data?", "What is the retention period for customer data?"),
        ("Who may see customer data?", "Where is customer data stored?", "How long do we keep job applications?"),
    ),
    (
        "Trial accounts expire after three weeks.",
        ("When do trial accounts expire?", "How long does a trial account last?", "how long is the trial?"),
        ("How do I open a trial account?", "When do passwords expire?", "How many trial accounts are there?"),
    ),
    (
        "The emergency exit of the lab is behind room 12.",
        ("Where is the lab's emergency exit?", "Where is the emergency exit of the lab?"),
        ("Where is the emergency phone?", "Who has the key of room 12?", "Where is the exit of the cinema?"),
    ),
    (
        "Meetings in the blue room need a booking.",
        ("Do I need a booking for the blue room?", "Does the blue room need to be booked?"),
        ("How many people fit into the blue room?", "Where is the blue room?", "Do I need a visa for Kenya?"),
    ),
    (
        "Late fees are 2 percent a month.",
        ("How high are late fees?", "What are the late fees?", "what's the late fee per month?"),
        ("How do I pay a late fee?", "How high is the interest on loans?", "What are the shipping fees?"),
    ),
    (
        "The API rate limit is 600 requests per minute.",
        ("What is the API rate limit?", "How many requests per minute does the API allow?", "rate limit of the api?"),
        ("What is the API endpoint?", "How do I get an API key?", "How many users can log in?"),
    ),
    (
        "Dr. Weber sees patients on Tuesdays only.",
        ("On which days does Dr. Weber see patients?", "When can patients see Dr. Weber?"),
        (
            "What is Dr. Weber's phone number?",
            "On which days does Dr. Roth see patients?",
            "Where did Dr. Weber study?",
        ),
    ),
    (
        "The gym membership can be cancelled with one month's notice.",
        ("How can I cancel the gym membership?", "What notice is needed to cancel the gym membership?"),
        ("How much is the gym membership?", "When does the gym open?", "How can I cancel my flight?"),
    ),
    (
        "Spare keys are in the drawer next to the printer.",
        ("Where are the spare keys?", "Where do we keep spare keys?", "which drawer are the spare keys in?"),
        ("Where is the spare printer paper?", "Who has the car keys?", "How many spare keys are there?"),
    ),
    (
        "The minimum order quantity for T-shirts is 25.",
        ("What is the minimum order quantity for T-shirts?", "How many T-shirts must I order at least?"),
        ("What is the minimum order quantity for mugs?", "Which sizes do T-shirts come in?", "What do T-shirts cost?"),
    ),
    (
        "Version 4 of the app needs Android 11.",
        ("Which Android does version 4 of the app need?", "What does version 4 of the app require?"),
        ("Which Android does version 3 of the app need?", "Where can I download the app?", "Who made the app?"),
    ),
)


def everyday_edits(rng: random.Random) -> tuple[list[Edit], list[tuple[str, str, str, str]]]:
    """Make a memory of everyday facts and its queries.

    Returns:
        The edits, and rows (query, kind, edit_id or "", subject).
    """
    edits: list[Edit] = []
    rows: list[tuple[str, str, str, str]] = []
    for kind, subjects in SUBJECTS.items():
        names = [name for name, relation in RELATIONS.items() if relation.kind == kind]
        for subject in subjects:
            stored = rng.sample(names, max(1, len(names) // 3))
            for name in stored:
                edit = _edit(name, subject, f"everyday-{len(edits)}", rng)
                edits.append(edit)
                rows += _governed(edit, name, subject, rng)
            rows += _not_governed(names, stored, subject, rng)
            stranger = (
                f"{rng.choice(('New', 'Upper', 'Saint', 'Old'))} {subject.removeprefix('the ').removeprefix('The ')}"
            )
            rows.append((_ask(rng.choice(stored), stranger, rng), "neighbor", "", subject))
    for number, (statement, inside, outside) in enumerate(NOTES):
        edits.append(Edit(edit_id=f"note-{number}", statement=statement))
        rows += [(q, "paraphrase", f"note-{number}", statement) for q in inside]
        rows += [(q, "same_subject", "", statement) for q in outside]
    return edits, rows


def _edit(name: str, subject: str, edit_id: str, rng: random.Random) -> Edit:
    relation = RELATIONS[name]
    answer = rng.choice(relation.answers)
    form = rng.random()
    if form < 0.25:
        question = _ask(name, subject, rng)
        return Edit(
            edit_id=edit_id, statement=f"{question} {answer}", prompt=question, subject=subject, target_new=answer
        )
    template = rng.choice(relation.statements)
    prompt = template.replace("{s}", subject).replace(" {o}", "")
    statement = f"{prompt} {answer}."
    if form < 0.5:
        return Edit(edit_id=edit_id, statement=statement)
    return Edit(edit_id=edit_id, statement=statement, prompt=prompt, subject=subject, target_new=answer)


def _governed(edit: Edit, name: str, subject: str, rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    for question in rng.sample(RELATIONS[name].questions, 2):
        yield question.replace("{s}", subject), "paraphrase", edit.edit_id, subject
    prompt = rng.choice(RELATIONS[name].statements).replace("{s}", subject).replace(" {o}", "")
    yield prompt, "paraphrase", edit.edit_id, subject
    answer = rng.choice(RELATIONS[name].answers)
    opening = rng.choice(("Is it true that", "Is it right that", "Are you sure that"))
    first = prompt[0].lower() if prompt.startswith("The ") else prompt[0]
    yield f"{opening} {first}{prompt[1:]} {answer}?", "yes_no", edit.edit_id, subject


def _not_governed(
    names: list[str], stored: list[str], subject: str, rng: random.Random
) -> Iterator[tuple[str, str, str, str]]:
    absent = [n for n in names if n not in stored and not any(_alike(n, s) for s in stored)]
    for name in rng.sample(absent, min(3, len(absent))):
        yield _ask(name, subject, rng), "same_subject", "", subject
        if rng.random() < 0.4:
            prompt = rng.choice(RELATIONS[name].statements).replace("{s}", subject).replace(" {o}", "")
            yield prompt, "same_subject", "", subject


def _alike(one: str, other: str) -> bool:
    return any(one in group and other in group for group in ALIKE)


def _ask(name: str, subject: str, rng: random.Random) -> str:
    return rng.choice(RELATIONS[name].questions).replace("{s}", subject)


__all__ = ["NOTES", "RELATIONS", "SUBJECTS", "Relation", "everyday_edits"]
