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
from scr.scope.numbered import numbered_edits
from scr.scope.turned import asked_inside, asked_later, followed, of_the_past, of_today, supposed_otherwise


@dataclass(frozen=True, slots=True)
class Relation:
    """One thing that can be asked of a kind of subject."""

    kind: str
    statements: tuple[str, ...]
    """Each ends in ``{o}``."""
    questions: tuple[str, ...]
    answers: tuple[str, ...]


COUNTRY, COMPANY, PERSON, WORK, PRODUCT, PLACE = "country", "company", "person", "work", "product", "place"
SHOW, PLAYER, BAND, LAND, MATTER = "show", "player", "band", "land", "matter"

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
        "test database",
        "mail gateway",
        "support team",
        "guest lounge",
        "night shift",
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
    SHOW: (
        "The Night Desk",
        "Harbour Lights",
        "Doctor Who",
        "Family Table",
        "Breaking Point",
        "Bluewater High",
        "Twin Peaks",
        "Casablanca",
        "The Third Man",
    ),
    PLAYER: (
        "Diego Marchetti",
        "Serena Williams",
        "Jonas Eklund",
        "Wayne Rooney",
        "Aisha Bello",
        "LeBron James",
        "Mateus Prado",
        "Zinedine Zidane",
    ),
    BAND: ("Arctic Lanterns", "The Rolling Stones", "Velvet Harbor", "Abba", "Sigur Rós", "Iron Kettle", "Radiohead"),
    LAND: (
        "Lake Geneva",
        "Mount Erebus",
        "the Danube",
        "Siberia",
        "Ross Island",
        "the Atacama Desert",
        "Loch Ness",
        "Bavaria",
        "Kilimanjaro",
    ),
    MATTER: ("Acetone", "Novarin", "Quartz", "Titanium", "Ethanol", "Glimmerite", "Beeswax", "Lithium"),
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
    "religion": Relation(
        PERSON,
        (
            "{s} follows the religion of {o}",
            "The faith of {s} is {o}",
            "{s} believes in {o}",
            "{s}, who adheres to {o}",
        ),
        ("Which religion does {s} follow?", "What is {s}'s faith?", "What does {s} believe in?"),
        ("Shinto", "Buddhism", "Islam"),
    ),
    "workplace": Relation(
        PERSON,
        ("{s} found work in {o}", "{s} had a job in {o}", "The city where {s} worked is {o}"),
        ("In which city did {s} work?", "Where did {s} have a job?", "Where was {s} active?"),
        _CITIES,
    ),
    "field": Relation(
        PERSON,
        ("The subject that {s} studies is {o}", "{s} specialises in {o}", "The area {s} works in is {o}"),
        ("What is {s}'s field?", "In what area does {s} specialise?", "What subject is {s} an expert in?"),
        ("geology", "linguistics", "optics"),
    ),
    "origin": Relation(
        PERSON,
        ("{s} hails from {o}", "{s} comes from {o}", "{s}, a native of {o}"),
        ("Where is {s} from?", "Where does {s} hail from?", "What is {s}'s home town?"),
        _CITIES,
    ),
    "office held": Relation(
        PERSON,
        ("The office {s} holds is that of {o}", "{s} serves as {o}", "{s} has the title of {o}"),
        ("What office does {s} hold?", "Which title does {s} have?", "What post was {s} given?"),
        ("bishop", "mayor", "minister"),
    ),
    "developer": Relation(
        PRODUCT,
        (
            "The {s} was developed by {o}",
            "The {s} comes from {o}",
            "The developer of the {s} is {o}",
            "The {s}, from {o}",
        ),
        ("Who developed the {s}?", "Which company developed the {s}?", "Who is behind the {s}?"),
        ("Siemens", "Initech", "Hooli"),
    ),
    "maker": Relation(
        PRODUCT,
        (
            "The {s} is made by {o}",
            "The maker of the {s} is {o}",
            "The {s} is produced by {o}",
            "The {s}, a product of {o}",
        ),
        ("Who makes the {s}?", "Which company produces the {s}?", "Whose product is the {s}?"),
        ("Toyota", "Fabrikam", "Contoso"),
    ),
    "market": Relation(
        PRODUCT,
        ("The {s} is sold in {o}", "One can buy the {s} in {o}"),
        ("Where is the {s} sold?", "In which countries can I buy the {s}?"),
        ("Canada", "Italy"),
    ),
    "launch": Relation(
        PRODUCT,
        ("The {s} was launched in {o}", "The {s} has been on sale since {o}"),
        ("When was the {s} launched?", "Since when is the {s} on sale?", "In what year did the {s} come out?"),
        _YEARS,
    ),
    "network": Relation(
        SHOW,
        (
            "{s} was first shown on {o}",
            "{s} runs on {o}",
            "The broadcaster of {s} is {o}",
            "{s} debuted on the channel {o}",
        ),
        ("Which channel shows {s}?", "On what network did {s} start?", "Who broadcasts {s}?"),
        ("BBC", "HBO", "Channel 4"),
    ),
    "director": Relation(
        SHOW,
        ("The director of {s} is {o}", "{s} was directed by {o}", "{s}, a film by {o}"),
        ("Who directed {s}?", "Who is the director of {s}?", "Whose film is {s}?"),
        _NAMES,
    ),
    "show country": Relation(
        SHOW,
        ("{s} was made in {o}", "The country of origin of {s} is {o}", "{s}, which was produced in {o}"),
        ("In which country was {s} made?", "What is the country of origin of {s}?", "Where was {s} produced?"),
        ("Sweden", "Japan", "Chile"),
    ),
    "show language": Relation(
        SHOW,
        ("The language spoken in {s} is {o}", "{s} was shot in {o}", "The original language of {s} is {o}"),
        ("What language is {s} in?", "In which language was {s} filmed?", "Which language do they speak in {s}?"),
        ("Danish", "Latin", "Tamil"),
    ),
    "show genre": Relation(
        SHOW,
        ("The genre of {s} is {o}", "{s} is a kind of {o}"),
        ("What genre is {s}?", "What kind of film is {s}?", "To which genre does {s} belong?"),
        ("western", "comedy", "horror"),
    ),
    "lead role": Relation(
        SHOW,
        ("The star of {s} is {o}", "The lead role in {s} is played by {o}"),
        ("Who stars in {s}?", "Who plays the lead in {s}?", "Which actor has the main role in {s}?"),
        _NAMES,
    ),
    "premiere": Relation(
        SHOW,
        ("{s} premiered in {o}", "{s} was first seen in the year {o}"),
        ("When did {s} premiere?", "What year did {s} come out?", "When was {s} released?"),
        _YEARS,
    ),
    "composer": Relation(
        SHOW,
        ("The music of {s} was composed by {o}", "The composer of {s} is {o}"),
        ("Who composed the music of {s}?", "Who wrote the score of {s}?"),
        _NAMES,
    ),
    "sport": Relation(
        PLAYER,
        ("The sport of {s} is {o}", "{s} competes in {o}", "{s} is a professional in {o}"),
        ("What sport does {s} play?", "In which sport does {s} compete?", "Which sport is {s} a professional in?"),
        ("cricket", "judo", "rowing"),
    ),
    "player position": Relation(
        PLAYER,
        ("{s} plays in the position of {o}", "{s}'s role on the field is {o}", "{s}, who plays as {o}"),
        ("What position does {s} play?", "Where on the field does {s} play?", "What is {s}'s role in the team?"),
        ("goalkeeper", "striker", "point guard"),
    ),
    "club": Relation(
        PLAYER,
        ("{s} plays for {o}", "The club of {s} is {o}", "{s} is under contract with {o}", "{s} is a member of {o}"),
        ("Which club does {s} play for?", "What team is {s} on?", "Whose shirt does {s} wear?"),
        ("Ajax", "Real Madrid", "Leeds United"),
    ),
    "coach": Relation(
        PLAYER,
        ("The coach of {s} is {o}", "{s} is trained by {o}"),
        ("Who coaches {s}?", "Who is {s}'s trainer?"),
        _NAMES,
    ),
    "player country": Relation(
        PLAYER,
        ("{s} holds the citizenship of {o}", "{s} is a national of {o}", "{s}, a citizen of {o}"),
        ("What nationality does {s} have?", "Which country does {s} play for?", "Of which country is {s} a citizen?"),
        ("Ghana", "Peru", "Iceland"),
    ),
    "player birthplace": Relation(
        PLAYER,
        ("{s} was born in {o}", "{s}'s place of birth is {o}"),
        ("Where was {s} born?", "In what city was {s} born?", "What is {s}'s birthplace?"),
        _CITIES,
    ),
    "player age": Relation(
        PLAYER,
        ("The age of {s} is {o}", "{s} is aged {o}"),
        ("How old is {s}?", "What is {s}'s age?"),
        ("24", "31", "38"),
    ),
    "trophies": Relation(
        PLAYER,
        ("The number of titles of {s} is {o}", "{s} has won titles in the number of {o}"),
        ("How many titles has {s} won?", "How many trophies does {s} have?"),
        ("3", "11"),
    ),
    "band origin": Relation(
        BAND,
        ("{s} was formed in {o}", "{s} started out in {o}", "{s} comes from {o}", "{s}, a group that began in {o}"),
        ("Where was {s} formed?", "Which city does {s} come from?", "Where did {s} start?"),
        _CITIES,
    ),
    "record label": Relation(
        BAND,
        ("The record label of {s} is {o}", "{s} is signed to {o}", "{s} records for {o}"),
        ("Which label is {s} signed to?", "What is the record label of {s}?", "Who puts out the records of {s}?"),
        ("Motown", "Sub Pop", "Decca"),
    ),
    "band genre": Relation(
        BAND,
        ("{s} plays {o}", "The music of {s} is {o}", "The style of {s} is {o}"),
        ("What kind of music does {s} play?", "What genre is {s}?", "Which style does {s} play?"),
        ("jazz", "heavy metal", "folk"),
    ),
    "band singer": Relation(
        BAND,
        ("The singer of {s} is {o}", "The vocals of {s} are sung by {o}"),
        ("Who sings for {s}?", "Who is the lead singer of {s}?", "Who is the voice of {s}?"),
        _NAMES,
    ),
    "band year": Relation(
        BAND,
        ("{s} has existed since {o}", "{s} was founded in the year {o}"),
        ("Since when does {s} exist?", "When was {s} founded?", "What year did {s} get together?"),
        _YEARS,
    ),
    "band members": Relation(
        BAND,
        ("The number of members of {s} is {o}", "{s} has a line-up of {o}"),
        ("How many members does {s} have?", "How many people are in {s}?"),
        ("4", "five", "7"),
    ),
    "land location": Relation(
        LAND,
        ("{s} lies in {o}", "{s} is in {o}", "{s} is situated in {o}", "{s}, located in {o}"),
        ("Where is {s}?", "In which country is {s}?", "Where does {s} lie?", "Where can one find {s}?"),
        ("Chile", "Norway", "Japan"),
    ),
    "land continent": Relation(
        LAND,
        ("{s} belongs to the continent of {o}", "{s} is on the continent of {o}", "{s}, part of the continent of {o}"),
        ("Which continent is {s} on?", "On what continent does {s} lie?", "What continent does {s} belong to?"),
        ("Africa", "Asia", "Oceania"),
    ),
    "land namesake": Relation(
        LAND,
        ("{s} was named after {o}", "{s} owes its name to {o}", "{s}, whose name comes from {o}"),
        ("Who was {s} named after?", "Where does the name of {s} come from?", "To whom does {s} owe its name?"),
        ("a Greek god", "a sailor", "Captain Ross"),
    ),
    "land height": Relation(
        LAND,
        ("The elevation of {s} is {o}", "The highest point of {s} is at {o}"),
        ("How high is {s}?", "What is the elevation of {s}?"),
        ("372 metres", "5,895 m"),
    ),
    "land area": Relation(
        LAND,
        ("The area of {s} is {o}", "{s} covers {o}"),
        ("How large is {s}?", "What area does {s} cover?", "How many square kilometres is {s}?"),
        ("580 square kilometres", "two million hectares"),
    ),
    "land people": Relation(
        LAND,
        ("The people who live around {s} are {o}", "{s} is inhabited by {o}"),
        ("Who lives around {s}?", "Which people inhabit {s}?"),
        ("the Sami", "fishermen"),
    ),
    "boiling point": Relation(
        MATTER,
        ("The boiling point of {s} is {o}", "{s} boils at {o}"),
        ("At what temperature does {s} boil?", "What is the boiling point of {s}?", "When does {s} boil?"),
        ("56 degrees", "3287 °C"),
    ),
    "melting point": Relation(
        MATTER,
        ("The melting point of {s} is {o}", "{s} melts at {o}"),
        ("At what temperature does {s} melt?", "What is the melting point of {s}?", "How hot must {s} get to melt?"),
        ("62 degrees", "1668 °C"),
    ),
    "density": Relation(
        MATTER,
        ("The density of {s} is {o}",),
        ("How dense is {s}?", "What is the density of {s}?"),
        ("0.79 g/ml", "4.5 g/cm³"),
    ),
    "discoverer": Relation(
        MATTER,
        ("{s} was discovered by {o}", "The discoverer of {s} is {o}"),
        ("Who discovered {s}?", "Who was the first to find {s}?", "By whom was {s} discovered?"),
        _NAMES,
    ),
    "use": Relation(
        MATTER,
        ("{s} is used for {o}", "The main use of {s} is {o}"),
        ("What is {s} used for?", "What do people do with {s}?", "What is the main use of {s}?"),
        ("candles", "paint", "aircraft"),
    ),
    "matter price": Relation(
        MATTER,
        ("A kilogram of {s} costs {o}", "The price of {s} is {o}"),
        ("How much is a kilogram of {s}?", "What does {s} cost?"),
        ("12 euros", "$40"),
    ),
    "industry": Relation(
        COMPANY,
        ("The industry of {s} is {o}", "{s} operates in the business of {o}"),
        ("What industry is {s} in?", "What business is {s} in?", "In which sector does {s} operate?"),
        ("shipping", "insurance", "toys"),
    ),
    "owner": Relation(
        COMPANY,
        ("{s} is owned by {o}", "The owner of {s} is {o}", "{s} belongs to {o}"),
        ("Who owns {s}?", "Who is the owner of {s}?", "Whom does {s} belong to?", "What is the parent of {s}?"),
        ("Toyota", "Lakeside Bank", "Hooli"),
    ),
    "hours": Relation(
        COMPANY,
        ("The opening hours of {s} are {o}", "{s} is open {o}"),
        ("What are the opening hours of {s}?", "When is {s} open?"),
        ("9 to 5", "around the clock"),
    ),
    "twin town": Relation(
        PLACE,
        ("The twin town of {s} is {o}", "{s} is twinned with {o}"),
        ("What is {s} twinned with?", "Which town is the partner of {s}?"),
        _CITIES,
    ),
    "capacity": Relation(
        PLACE,
        ("{s} has room for {o}", "The capacity of {s} is {o}"),
        ("How many people fit into {s}?", "What is the capacity of {s}?"),
        ("400 people", "12,000"),
    ),
    "address": Relation(
        PLACE,
        ("The address of {s} is {o}", "The street address of {s} is {o}"),
        ("What is the address of {s}?", "What street is {s} on?"),
        ("12 Mill Road", "3 Quay Street"),
    ),
    "country religion": Relation(
        COUNTRY,
        ("The state religion of {s} is {o}", "Most people in {s} follow {o}"),
        ("What is the state religion of {s}?", "Which faith is most common in {s}?"),
        ("Shinto", "Buddhism", "Islam"),
    ),
    "anthem": Relation(
        COUNTRY,
        ("The national anthem of {s} is {o}",),
        ("What is the national anthem of {s}?", "What is {s}'s anthem called?"),
        ("Song of the Hills", "Morning Light"),
    ),
    "neighbour": Relation(
        COUNTRY,
        ("{s} shares a border with {o}", "{s} borders on {o}"),
        ("Which country borders {s}?", "With whom does {s} share a border?"),
        ("Peru", "Ghana"),
    ),
}

ALIKE = (
    frozenset(("job", "field")),
    frozenset(("job", "office held")),
    frozenset(("employer", "workplace")),
    frozenset(("birthplace", "origin")),
    frozenset(("citizenship", "origin")),
    frozenset(("developer", "maker")),
    frozenset(("club", "player country")),
    frozenset(("land location", "land continent")),
    frozenset(("location", "address")),
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
    (
        "The fire drill takes place every first Monday of the month.",
        ("When is the fire drill?", "How often do we have a fire drill?", "which day is the fire drill on?"),
        ("Where is the fire extinguisher?", "Who leads the fire drill?", "When is the team meeting?"),
    ),
    (
        "Our bank account number ends in 7731.",
        ("What does our bank account number end in?", "What are the last digits of our bank account?"),
        ("Which bank do we use?", "What is our tax number?", "What is the balance of our bank account?"),
    ),
    (
        "The server room code is 4412.",
        ("What is the code of the server room?", "server room code?", "How do I open the server room?"),
        ("Where is the server room?", "What is the code of the archive?", "Who cleans the server room?"),
    ),
    (
        "Employees may work from home on two days a week.",
        ("How many days can I work from home?", "How often may employees work from home?"),
        ("How many hours do employees work?", "Who approves working from home?", "Do employees get a laptop?"),
    ),
    (
        "The sales hotline is 0800 55 21.",
        ("What is the sales hotline?", "Which number do I call for sales?", "what's the phone number of sales?"),
        ("What is the email address of sales?", "Who heads sales?", "When is the sales hotline open?"),
    ),
    (
        "Refunds are paid out within five working days.",
        ("How long does a refund take?", "When do I get my refund?", "How fast are refunds paid out?"),
        ("How do I ask for a refund?", "How long does delivery take?", "Who pays for the return?"),
    ),
    (
        "The express delivery fee is 9.90 euros.",
        ("How much is express delivery?", "What does express delivery cost?", "express delivery fee?"),
        ("How long does express delivery take?", "How much is standard delivery?", "Do you deliver to Malta?"),
    ),
    (
        "The head of marketing is Ines Calder.",
        ("Who heads marketing?", "Who is the head of marketing?", "who runs the marketing team"),
        ("Who heads finance?", "How big is the marketing budget?", "Where does the marketing team sit?"),
    ),
    (
        "Parcels are picked up at 3 pm.",
        ("When are parcels picked up?", "What time is the parcel pickup?"),
        ("Where are parcels picked up?", "Who picks up the parcels?", "When are letters delivered?"),
    ),
    (
        "The office printer is called Gutenberg.",
        ("What is the office printer called?", "What's the name of the printer in the office?"),
        ("Where is the office printer?", "Who repairs the office printer?", "What is the coffee machine called?"),
    ),
    (
        "Visitors must sign in at the front desk.",
        ("Where do visitors sign in?", "Where must visitors register?"),
        ("When do visitors leave?", "How many visitors came?", "Where do staff sign in?"),
    ),
    (
        "The export database password changes every 90 days.",
        ("How often does the export database password change?", "When does that database password change?"),
        ("What is the export database password?", "Who owns the export database?", "How often do we back up?"),
    ),
)


GENERAL = (
    "What is {s} known for?",
    "Why is {s} famous?",
    "What is a remarkable achievement of {s}?",
    "What is a well-known feature of {s}?",
    "What is the significance of {s}?",
    "Tell me about {s}.",
    "Tell me something interesting about {s}.",
    "Who or what is {s}?",
    "What is special about {s}?",
    "What is the history of {s}?",
    "Please describe {s}.",
    "What made {s} popular?",
    "What is an interesting fact about {s}?",
    "What do critics say about {s}?",
    "What does the name {s} mean?",
    "How do you pronounce {s}?",
    "How is {s} spelled?",
    "Which books mention {s}?",
    "What is the most famous thing about {s}?",
    "What major event is {s} associated with?",
    "What has {s} in common with others?",
    "What do people like about {s}?",
    "What kind of thing is {s}?",
    "What is a famous work connected with {s}?",
    "What role did {s} play in history?",
    "How did {s} become successful?",
    "How can I learn more about {s}?",
    "What is the latest news about {s}?",
    "I read an article about {s} yesterday.",
    "Write a short poem about {s}.",
)
"""Questions about a subject that ask for none of its facts in particular."""


SIBLINGS: tuple[tuple[str, ...], ...] = tuple(
    tuple(group.split())
    for group in (
        "boiling melting freezing flash",
        "birth death burial baptism",
        "born educated buried married",
        "mother father brother sister aunt uncle",
        "husband daughter son grandmother",
        "opens closes",
        "opening closing",
        "open close",
        "capital currency population anthem flag",
        "founder owner chairman treasurer",
        "founded sold closed renamed",
        "author publisher illustrator translator editor",
        "director producer screenwriter composer",
        "directed produced",
        "written illustrated translated",
        "minimum maximum average",
        "first last",
        "north south east west",
        "northern southern eastern western",
        "height weight length width depth",
        "tall heavy wide old",
        "phone fax",
        "email postal",
        "arrival departure",
        "largest smallest oldest",
        "highest lowest",
        "start end",
        "starts ends",
        "buyer seller",
        "river lake mountain",
        "language religion climate",
        "spouse child parent boss",
        "morning evening",
        "monthly yearly weekly",
        "import export",
        "admin guest",
        "price colour weight warranty size",
        "president king architect coach",
        "headquarters warehouse factory",
        "occupation nationality religion",
        "genre label budget length",
        "sport league stadium",
        "position salary",
        "developer distributor",
        "manufacturer retailer",
        "award prize budget",
        "continent hemisphere",
        "password username",
        "delivery return",
        "lives works studies",
        "citizen critic",
        "teaches sells",
        "plays sings writes",
        "causes cures",
        "before after",
        "inside outside",
        "adults children",
    )
)
"""Words that stand in each other's place and ask for something else."""


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
                rows += _turned(edit, name, subject, rng)
            rows += _not_governed(names, stored, subject, rng)
            stranger = (
                f"{rng.choice(('New', 'Upper', 'Saint', 'Old'))} {subject.removeprefix('the ').removeprefix('The ')}"
            )
            rows.append((_ask(rng.choice(stored), stranger, rng), "neighbor", "", subject))
            head = subject.split()[-1]
            if head.islower() and len(subject.split()) > 1:
                other = f"{'the ' if subject.startswith('the ') else ''}{rng.choice(_OTHER_ONES)} {head}"
                if other not in subjects:
                    rows.append((_ask(rng.choice(stored), other, rng), "neighbor", "", subject))
    for edit, questions in numbered_edits(rng, 120):
        edits.append(edit)
        about = edit.subject or edit.statement
        rows += [(text, kind, edit.edit_id if inside else "", about) for text, kind, inside in questions]
    for number, (statement, inside, outside) in enumerate(NOTES):
        edits.append(Edit(edit_id=f"note-{number}", statement=statement))
        rows += [(q, "paraphrase", f"note-{number}", statement) for q in inside]
        rows += [(q, "same_subject", "", statement) for q in outside]
        for q in inside:
            swapped = _another_thing(q, statement, rng)
            if swapped:
                rows.append((swapped, "neighbor", "", statement))
    return edits, rows


_OTHER_ONES = "second spare northern old student summer mobile central private Silver weekly".split()
_THINGS = (
    "canteen library garage laptop badge training newsletter contract elevator garden pharmacy studio archive harbour "
    "bakery camera tractor scholarship orchestra helmet kitchen vaccine bridge ferry apartment tournament magazine"
).split()


def _another_thing(question: str, statement: str, rng: random.Random) -> str | None:
    """The question with one thing that the statement is about put for another, or None."""
    stated = {w.strip(".,?").lower() for w in statement.split()}
    words = question.split()
    places = [
        i
        for i, w in enumerate(words)
        if len(w) > 4 and w.strip("?,").lower() in stated and not w.endswith(("ed", "ing"))
    ]
    if not places:
        return None
    i = rng.choice(places)
    words[i] = rng.choice(_THINGS) + ("?" if words[i].endswith("?") else "")
    return " ".join(words)


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


def _turned(edit: Edit, name: str, subject: str, rng: random.Random) -> Iterator[tuple[str, str, str, str]]:
    """Questions of other times, of suppositions, and asked in a later sentence."""
    relation = RELATIONS[name]
    if rng.random() < 0.3:
        today = of_today(_ask(name, subject, rng), subject, rng)
        if today is not None:
            yield today, "paraphrase", edit.edit_id, subject
    if rng.random() < 0.8:
        past = of_the_past(_ask(name, subject, rng), subject, rng)
        if past is not None:
            yield past, "same_subject", "", subject
    if rng.random() < 0.3:
        yield asked_inside(_ask(name, subject, rng), subject, rng), "paraphrase", edit.edit_id, subject
    if rng.random() < 0.25:
        yield followed(_ask(name, subject, rng), rng), "paraphrase", edit.edit_id, subject
    if rng.random() < 0.5:
        yield supposed_otherwise(subject, relation.statements, rng), "same_subject", "", subject
    if rng.random() < 0.5:
        later = asked_later(rng.choice(relation.questions), subject, relation.kind, rng)
        if later is not None:
            yield later, "paraphrase", edit.edit_id, subject


def _not_governed(
    names: list[str], stored: list[str], subject: str, rng: random.Random
) -> Iterator[tuple[str, str, str, str]]:
    absent = [n for n in names if n not in stored and not any(_alike(n, s) for s in stored)]
    for name in rng.sample(absent, min(3, len(absent))):
        yield _ask(name, subject, rng), "same_subject", "", subject
        if rng.random() < 0.5:
            later = asked_later(rng.choice(RELATIONS[name].questions), subject, RELATIONS[name].kind, rng)
            if later is not None:
                yield later, "same_subject", "", subject
        if rng.random() < 0.4:
            prompt = rng.choice(RELATIONS[name].statements).replace("{s}", subject).replace(" {o}", "")
            yield prompt, "same_subject", "", subject


def _alike(one: str, other: str) -> bool:
    return any(one in group and other in group for group in ALIKE)


def _ask(name: str, subject: str, rng: random.Random) -> str:
    return rng.choice(RELATIONS[name].questions).replace("{s}", subject)


__all__ = ["ALIKE", "GENERAL", "NOTES", "RELATIONS", "SIBLINGS", "SUBJECTS", "Relation", "everyday_edits"]
