"""Where do the numbers of ``statement_weights.json`` come from? ``python -m scr.statement_train --data DIR``.

Rows: CounterFact's training split, the single hops of MQuAKE-CF, the edits of ConflictEdit and RippleEdits, zsRE's
inverse rows, and sentences of ours made here from templates (questions, clozes, statements of a business). No row is
used whose subject is in ``kept_back_subjects.txt`` or in ``scope_dev_memory.jsonl``: the parser is measured on those.
Two softmax regressions (where the answer starts; which span is the subject), L2, full-batch Adam, no randomness left
but the seed that draws the template rows. A tenth of the subjects is held out of fitting to calibrate the probability.
"""

import argparse
import json
import random
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scr import statement as st


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A statement whose parts are known."""

    text: str
    subject: str
    target: str
    source: str
    weight: float = 1.0

    @property
    def pattern(self) -> str:
        """The wording without the names; rows that share it are held out together."""
        text = " ".join(self.text.split())
        if self.source == "business":
            return " ".join(t.text for t in st.tokenize(text) if t.text in st.CLOSED or t.text in (":", "?", "'s"))
        return text.replace(self.subject, "Xx", 1).removesuffix(".").removesuffix(self.target)


def normalised(text: str) -> str:
    """What two equal fields share: case, white space, outer quotes, articles and end punctuation put aside.

    >>> normalised(' the “Pentagon”. ')
    'pentagon'
    """
    text = " ".join(text.casefold().split())
    before = None
    while text != before:
        before = text
        text = text.strip("\"'“”‘’«» ").rstrip(".,;:!?… ")
        for article in ("the ", "a ", "an "):
            text = text.removeprefix(article)
    return text


# --- rows of ours --------------------------------------------------------------------------------------------------

QUESTIONS = """
What city was {} born in?|In what town was {} born?|Where was {} born?|When was {} born?|What year was {} born in?
Which year saw the birth of {}?|Where did {} die?|In which year did {} die?|What was the cause of {}'s death?
What illness did {} die of?|Who killed {}?|What did {} die from?|Who is the father of {}?|Who was {}'s father?
What is the name of {}'s mother?|Who is {}'s spouse?|Who is {} married to?|Whom did {} marry?
Who are the parents of {}?|What is {}'s sibling called?|Who was the child of {}?|To whom was {} born?
Which woman was the mother of {}?|Which man fathered {}?|What is the occupation of {}?|What does {} do for a living?
What job did {} have?|What is {}'s job?|Which office did {} hold?|What post was {} given?
Which position does {} play in?|What team is {} playing for?|Which club did {} play for?
What league does {} belong to?|For which team does {} play?|{} plays for which club?|Which university did {} attend?
Where was {} educated?|What school did {} go to?|Which college has {} as a graduate?|At which school did {} study?
What award did {} receive?|Which prize was {} awarded?|What honour was {} given?|What is the award received by {}?
{} received which award?|What war was {} in?|Which conflict did {} fight in?|In which battle was {} involved?
During which war did {} serve?|Who founded {}?|Who was {} founded by?|When was {} founded?
In what year was {} established?|Who is the founder of {}?|What year did {} begin?|When did {} start?|Who owns {}?
Who is the owner of {}?|What company owns {}?|Which company is {} owned by?|What is the parent company of {}?
{} is owned by whom?|Who created {}?|Who is the creator of {}?|Which person is {} made by?|Who came up with {}?
Who made {}?|By whom was {} created?|{} was created by who?|Who wrote {}?|Who is the author of {}?
Which writer wrote {}?|Who was the screenwriter for {}?|Who penned {}?|The author of {} is who?|Who directed {}?
Who was the director for {}?|Which director made {}?|{} was directed by whom?|Who is the person that directed {}?
The director of {} was?|Who composed {}?|Who performed {}?|Which artist recorded {}?|Who sang {}?
What band performed {}?|Who is the lyricist for {}?|The song {} was by who?|Who produced {}?|What company produced {}?
Who was the producer for {}?|Which studio made {}?|What was the production company for {}?|Who starred in {}?
Who played in {}?|Which actor appears in {}?|What is the name of an actor in {}?|The film {} stars who?
Who is a cast member in {}?|What network aired {}?|On what channel was {} broadcast?|Which network first showed {}?
What channel does {} run on?|{} was shown on what channel?|What is the record label of {}?|Which label signed {}?
What label does {} record for?|What was {}'s label?|To which label is {} signed?|What genre is {}?
What kind of music does {} play?|What type of work is {}?|Of what genre is {}?|What instrument does {} play?
What voice does {} sing with?|What language is {} in?|What is the original language of {}?
In what language was {} written?|Which language does {} speak?|What tongue is {} written in?
What series is {} part of?|Which series does {} belong to?|What universe is {} set in?|In which book does {} appear?
What game features {}?|Which work has the character {}?|What came after {}?|What does {} follow?|What follows {}?
What is {} followed by?|What does {} replace?|What was {} replaced by?|What was {} named after?|Who is {} named for?
Where is {}?|Where is {} located?|What country is {} in?|In which country is {}?|Which country is {} situated in?
What region does {} lie in?|On which continent is {}?|What county is {} in?|Which district is {} a part of?
What place is {} found in?|In what area is {} situated?|What is the location of {}?
What is the province where {} lies?|What is the capital of {}?|Which city is the capital of {}?
What is the currency of {}?|What is the population of {}?|Who is the head of state of {}?|Who is the mayor of {}?
What is the official language of {}?|What is the continent of {}?|What is the country of {}?
What is the twin town of {}?|What is the highest point of {}?|What river does {} flow into?|What does {} empty into?
Which lake is {} on?|What does {} cross?|What body of water does {} span?|Which mountains is {} in?
What constellation is {} in?|In what constellation does {} lie?|Who discovered {}?|Who was the discoverer of {}?
When was {} found?|What is the discovery date of {}?|What is the taxonomic rank of {}?|What family does {} belong to?
What genus is {} in?|The species {} belongs to what family?|What is the conservation status of {}?
Which order is {} of?|Which chromosome is {} on?|What species is {} found in?|What gene encodes {}?
What is {} encoded by?|What disease does {} treat?|The gene {} is found in which organism?
What is the manufacturer of {}?|Who manufactures {}?|Who built {}?|What company built {}?|Which firm made {}?
Who designed {}?|Who was the architect of {}?|{} was designed by which architect?|When was {} released?
What was the release date of {}?|When did {} come out?|What date was {} published?|Who published {}?
What is the publisher of {}?|When was {} launched?|When did {} happen?|What date did {} take place?|When was {} held?
What year did {} end?|When was {} dissolved?|When was {} abolished?|When did {} shut down?|What day did {} occur?
What is the operating system of {}?|What platform does {} run on?|What is {} programmed in?|Who developed {}?
Who is the developer of {}?|What language is {} implemented in?|What licence does {} have?|What is the sport of {}?
What sport does {} play?|What is the nationality of {}?|Which country is {} a citizen of?
What citizenship does {} have?|What is the gender of {}?|What sex is {}?|What religion is {}?
What faith does {} follow?|What is the religion of {}?|What is the political party of {}?
Which party is {} a member of?|What ethnic group does {} belong to?|What is the industry of {}?|What does {} produce?
What is the business of {}?|Where is {} based?|Where are the headquarters of {}?|What city is {} headquartered in?
Who leads {}?|Who runs {}?|What is the material of {}?|What is {} made of?|What style is {} built in?
What movement is {} associated with?|What is the heritage status of {}?|Which collection is {} in?
Which museum holds {}?|What is the cause of {}?|What is the field of {}?|What is the subject of {}?|What is {} about?
What is {} known for?|Who influenced {}?|What is the main theme of {}?|What is {} used for?|What vessel class was {}?
What kind of ship is {}?|What type of boat was {}?|What class is {}?|Which line is {} on?|Which station is next to {}?
What road is {} on?|Who operates {}?|Which airline flies from {}?|Who does {} work for?|What is {}'s employer?
Who employs {}?|What kind of thing is {}?|What status does {} have?|What is the time zone of {}?
How many people live in {}?|How tall is {}?|How long is {}?|what is the meaning of {}?|who plays {}?|who sings {}?
where does {} take place?|when does {} come out?|what year was {} made?|how many seasons of {} are there?|who won {}?
where is {} in the body?|What tool was used to build {}?|Which language was used to develop {}?
Actor {} appeared in which film?|Swimmer {} competes for which country?|The novel {} was written by whom?
The painter {} lived in what town?|The planet {} belongs to which star?|The school {} attended was which?
The rank {} reached was what?|The award that {} won was what?|The person who taught {} is who?
The woman who raised {} was who?|The year {} opened was which?|The place {} was buried is where?
What was the job that {} held?|Which was the seat {} won?|How rare is {} considered to be?|Who made {} famous?
{}'s designer was who?|{}'s composer is who?|What specific kind of car is {}?|What kind of plane was {} registered as?
What was the name of {} wife?|Which is the channel {} airs on?|Who is {} by?|What is {} by?|Who is {} from?
who is the owner of {}?|who wrote {}?|where is {} from?|what does {} mean?|what is {} made of?|where was {} filmed?
when was {} invented?|who invented {}?|what is the purpose of {}?|what type of {} is there?
"""

CLOZES = """
The place of birth of {} is|The birthplace of {} was|The place of death of {} is|The date of birth of {} is
The gender of {} is|The occupation of {} is|The eye color of {} is|The place of burial of {} is
The name of the father of {} is|The name of the mother of {} is|The names of the siblings of {} are
The name of the child of {} is|The name of the spouse of {} is|The wife of {} is|The brother of {} was
The name of the country of citizenship of {} is|The nationality of {} is
The name of the ethnic group which {} is associated with is|The name of the religion which {} is associated with is
The name of the country which {} is associated with is|The name of the award {} won is
The name of the position held by {} is|The name of the field of work of {} is|The name of the employer of {} is
The sexual orientation of {} is|The name of the alma mater of {} is
The name of the sports team which {} is a member of is|The name of the league which {} plays in is
The names of the cast members of {} are|The name of the composer of {} is|The name of the director of {} is
The name of the author of {} is|The name of the screenwriter of {} is|The name of the producer of {} is
The name of the performer of {} is|The name of the publisher of {} is|The name of the founder of {} is
The name of the record label of {} is|The name of the anthem of {} is|The name of the capital city of {} is
The name of the currency in {} is|The name of the head of state of {} is
The name of the continent which {} is part of is|The official language of {} is|{} follows|{} is followed by
{} replaced|{} was replaced by|{} is married to|{} was educated at|{} is the author of|{} was written by
{} was directed by|{} was designed by|{} borders|{} flows into|The capital of {} is|The author of {} is
The director of {} is|The CEO of {} is|The chairperson of {} is|The president of {} is|The mayor of {} is
The founder of {} is|The developer of {} is|{}'s spouse is|{}'s father is|{} is known for|{} belongs to|{} died of
{} won|{} was founded by|{} was painted by|{} is famous for|{} was discovered by|{} stars|{} contains|{} lies in
{} lies on the|{} is a type of|{} is part of|{} has a population of|In {}, the currency is|In {}, people drive on the
The university where {} was educated is|The year in which {} was founded is|The type of music that {} plays is
The company that produced {} is|The city where {} is based is
"""

# Long questions, most of them with more than one name in them; "=" before the subject that we would give them.
LONG_QUESTIONS = """
Which European river passes through more capitals than any other?=European river
In which year did the physicist Lise Meitner leave Germany for Sweden?=Lise Meitner
Who was the first woman to climb Mount Everest without bottled oxygen?=Mount Everest
What was the name of the ship on which Charles Darwin sailed around the world?=Charles Darwin
On what day and month of 1969 did Apollo 11 land on the Moon?=Apollo 11
Which Italian composer wrote the opera in which Figaro is a barber?=Figaro
How many goals did Gerd Müller score at the 1970 World Cup in Mexico?=Gerd Müller
At which museum in Amsterdam does The Night Watch hang?=The Night Watch
In what month of 1912 did the liner Titanic leave Southampton?=Titanic
Who beat Björn Borg in the final of the 1981 Wimbledon Championships?=Björn Borg
What prize was given to Selma Lagerlöf in Stockholm in 1909?=Selma Lagerlöf
Which city hosted the Summer Olympics after Helsinki?=Summer Olympics
With whom did Marie Curie share the Nobel Prize in Physics in 1903?=Marie Curie
What was the profession of the father of the German painter Paula Modersohn-Becker?=Paula Modersohn-Becker
Under which name did Samuel Clemens publish his novels about the Mississippi?=Samuel Clemens
In the story by Hans Christian Andersen, what does the little mermaid give up for her legs?=the little mermaid
Who replaced the drummer Pete Best in The Beatles in August 1962?=Pete Best
Which bird appears on the flag of Papua New Guinea?=flag of Papua New Guinea
During what years was Helmut Schmidt the chancellor of West Germany?=Helmut Schmidt
At what age did Wolfgang Amadeus Mozart write his first symphony in London?=Wolfgang Amadeus Mozart
From which university did Ada Yonath receive her doctorate in 1968?=Ada Yonath
What colour is the ball used in bandy on natural ice?=bandy
Who designed the main stadium for the Games of 1972 in Munich?=main stadium for the Games of 1972 in Munich
By what nickname is the New Zealand national rugby team known?=New Zealand national rugby team
What is the second longest tunnel under the Swiss Alps?=Swiss Alps
which team won the first football cup final at the new stadium?=first football cup final
who sings the theme song at the end of the third part of the lord of the rings?=third part of the lord of the rings
when did women get the right to vote in switzerland?=right to vote in switzerland
how many keys are there on a full size piano?=full size piano
who plays the old man in the film about the sea?=old man
where does the water in the great lakes come from?=water in the great lakes
what is the name of the little dog in the wizard of oz?=little dog in the wizard of oz
who was the king of france during the american war of independence?=king of france
when was the last time the red wings won the cup?=red wings
what part of the brain is used for learning a language?=part of the brain
who scored the winning goal in the world cup final in berlin?=world cup final
when does the new series about the crown start on television?=series about the crown
where is the largest coral reef in the world?=largest coral reef
how long does it take to boil a goose egg?=goose egg
what does the green light mean at the end of the dock?=green light
who invented the first machine that could add numbers?=machine that could add numbers
where did the phrase break a leg come from?=break a leg
what is the longest word that you can type with the left hand?=longest word
who wrote the song that never ends on this show?=song that never ends
Which metal, liquid at room temperature, was once used by hat makers?=metal
What do you call a group of owls?=group of owls
In chess, which piece can jump over the others?=chess
Whose portrait is on the Swedish 200 kronor note that came out in 2015?=Swedish 200 kronor note
What number comes after the word "Catch" in the title of a novel by Joseph Heller?="Catch"
Which fictional detective lived with Doctor Watson on Baker Street?=Doctor Watson
The 1994 film in which Tom Hanks runs across America has what title?=Tom Hanks
What was the second album of the Icelandic singer Björk called?=Björk
The longest river of Scotland flows into which sea?=longest river of Scotland
Along with Poland, which country hosted the European Championship in 2012?=European Championship
Which of the Brontë sisters wrote a book under the name of Acton Bell?=Brontë sisters
In what city did the architect Antoni Gaudí, known for the Sagrada Família, die in 1926?=Antoni Gaudí
To which position was Kofi Annan elected by the General Assembly in December 1996?=Kofi Annan
What was the title of the thesis that Emmy Noether wrote in Erlangen?=Emmy Noether
The rules of basketball were first written down by whom in 1891?=rules of basketball
How many strings has a violin?=violin
"""

# {S} is the subject. Words in (a/b) are drawn; {date} and the other words in braces stand for lists below.
BUSINESS = """
(Our/The/Your) {S:np} is {value}|{S:Org}'s {role} is {Person}|The {role} of {S:Org} is {Person}
{S:Org}'s {np} is {value}|The {np} of {S:Org} is {value}|(Our/The) {S:np} costs {money}
{S:Org} is (based/headquartered/located) in {City}|{S:Org} was founded (by/in) {PersonOrYear}
{S:Org} (uses/sells/supports/requires/offers) {Thing}|{S:Org} is owned by {Org}
{S:Org} was (bought/taken over) by {Org}|{S:Org} employs {number} people
(Our/The) {S:np} is located (in/at/near) {City}|(Our/The) {S:np} (opens/closes/starts/begins/ends) (at/on) {time}
(Our/The) {S:np} is open from {range}|(Our/The) {S:np} is open until {time}|(Our/The) {S:np} is closed on {day}s
{S:Plural} are (processed/shipped/delivered/reviewed/answered) within {duration}
{S:Plural} (expire/renew/end) after {duration}|{S:Plural} are handled by {Person}
{S:Plural} are (stored/kept/archived) (in/at) {City}|{S:Plural} cost {money}
{S:Plural} must be (sent/reported/addressed) to {Person}|{S:Plural} are (kept/valid/stored) for {duration}
{S:Plural} require {Thing}|{S:Plural} (need/have) {number} (characters/approvals/signatures)
{S:Plural} take {duration}|{S:Plural} are due (on/by/every) {date}|{S:Plural} are (managed/owned/approved) by the {np}
{S:Product} supports {Thing}|{S:Product} (runs/depends/builds) on {Thing}|{S:Product} was released on {date}
{S:Product} is (written/implemented) in {Thing}|{S:Product} replaces {Product}|{S:Product} requires {Thing}
{S:Product} ships with {Thing}|{S:Product} no longer supports {Thing}|The {S:np} runs on {Thing}
The {S:np} listens on port {number}|The {S:np} is called {Product}|The {S:np} takes {duration}
The {S:np} changes every {duration}|The {S:np} covers {np}s|The {S:np} holds {number} people
The {S:np} expires on {date}|The {S:np} was (moved/changed/raised) to {value}|The {np} for {S:Org} is {value}
The {S:np} at the {City} (office/plant/site) is {value}|The {role} for {S:Org} is {Person}
The {S:np} is (run/led/headed/managed) by {Person}|{S:Project} is (run/managed/owned/sponsored) by {Person}
{S:Project} (starts/ends/launches) (in/on) {date}|{S:Project} has a budget of {money}
{S:Person} (leads/manages/runs) the {np}|{S:Person} is the {role} of {Org}|{S:Person} works (for/at) {Org}
{S:Person} reports to {Person}|{S:Person} is our {role}|{S:Person} joined {Org} in {year}|{S:Person} lives in {City}
{S:Person}'s (phone number/extension) is {number}|{S:Person}'s e-mail address is {email}
Since {year}, the {role} of {S:Org} is {Person}|As of {date}, the {S:np} is {value}|From {date}, the {S:np} is {value}
In {year}, {S:Org} moved to {City}|Since {date}, {S:Org} is owned by {Org}|Today the {S:np} is {value}
Starting {date}, (our/the) {S:np} costs {money}|The {City} {S2:office} reports to {Person}
The {S:City team} is led by {Person}|The {S:City team} has {number} employees|The {S:City team} moved to {City}
The successor to {S:Product} is {Product}|The (price/cost/owner/maintainer/version) of {S:Product} is {value}
{S:Product} costs {money} per month|{S:Org}'s {np} (ends/starts) on {date}|What is the {S:np}? {value}
Who is the {role} of {S:Org}? {Person}|Where is {S:Org} headquartered? {City}|How much does {S:Product} cost? {money}
When does the {S:np} open? {time}|Who manages the {S:np}? {Person}|How long is the {S:np}? {duration}
What is our {S:np}? {value}|Who approves {S:plural}? {Person}|Where are {S:plural} kept? {City}
What does {S:Product} cost? {money}|Who leads {S:Project}? {Person}|The {S:np} is {value}|The {S:np} is {value}
Our {S:np} is {value}|Our {S:np} is {value}|The {S:np} was {value}|{S:Plural} are {value}|{S:Plural} are {value}
{S:Org} is {value}|{S:Product} is {value}|{S:Person} is {value}|{S:City} is {value}
{S:Org} (accepts/provides/recommends/prefers) {Thing}|{S:Plural} (accrue/gain/lose/include/contain) {value}
The {S:np} (includes/weighs/measures/contains/features) {value}|The {S:np} (belongs/leads/connects) to {value}
{S:Org} (reports/announced/expects/raised) {money}|{S:Project} (targets/uses/includes) {Thing}
The {S:np} on the {place} (seats/holds/houses/fits) {number} people
The {S:np} (rotates/changes/resets/repeats) every {duration}|{S:Plural} (receive/get/earn) {value}
{S:Org}'s {np} (opens/costs/covers/lasts) {value}|{S:Org} has {number} (offices/shops/engineers)
{S:Person} (has/owns/speaks/teaches) {Thing}|{S:Org} pays {money}|{S:Org} delivers {Thing}
(My/Her/Their) {S:np} is {value}|{S:Plural} at the {City} (office/plant/site) (cost/need/take/require) {value}
{S:Plural} from {City} (cost/take) {value}|{S:Plural} must (have/contain) {number} characters
{S:Plural} are (sent/delivered/returned) to the {City} (office/warehouse/store)|{S:Plural} come with {thing}
{S:Plural} go to {Person}|{S:Plural} earn {value}
The {S:np} (on/in/at/of/for) the {place} (is/costs/holds/takes/has) {value}
The {S:np} (on/in/at/for) the {place} is {value}|The {S:np} comes with {Thing}|The {S:np} charges {money}
{S:Org} covers {thing}|{S:Org} uses {Thing} for {plural}|{S:Person} (heads/oversees/runs) the {np}
The {animal} of the {S:City team} is (a/an) {adj} {animal}|The {np} of the {S:City team} is {value}
The {np} of the {S:np} is {value}|The (price/owner/address/author/colour/size) of the {S:np} is {value}
"""

# name: its values, until the next name.
_LISTS = """
np: return policy;office address;delivery time;support hotline;login page;wifi password;travel budget;notice period
trial period;help desk;front desk;coffee machine;parking lot;back entrance;billing system;mail server;build server
test environment;release branch;style guide;sales team;design team;legal department;night shift;loading dock;key card
office dog;company car;customer portal;service level;session timeout;retention period;tax rate;discount for students
fee for late payment;gym;cafeteria;reception;newsletter;annual meeting;quarterly report;on-call rotation
minimum salary;maximum discount;standard contract;free plan;Enterprise plan;Pro licence;HR portal;SSH key;SQL server
PDF export;exchange rate;budget for training;limit for attachments;room for guests;entrance to the garage
training session;bike rack;dress code
role: CEO;CTO;chair;founder;chief engineer;managing director;head of sales;head of marketing;treasurer;account manager
owner;president;contact person;data protection officer
Org: Contoso;Fabrikam;Stark Industries;Wayne Enterprises;Hooli;Vandelay;Wonka Foods;Cyberdyne Systems;Tyrell Corp
Soylent;Aperture;Black Mesa;Oscorp;Massive Dynamic;Pied Piper;Dunder Mifflin;Blue Sun;MomCorp;the Riverside Clinic
Bank of Ember;Café Lumen;Müller & Sons
Person: Ana Silva;John Smith;Li Wei;Priya Nair;Karl Neumann;Dr. Emma Stone;Omar Haddad;Yuki Tanaka;Maria de Souza
Zoë Brandt;Peter van Dijk;Kim;Mr. Jones;Elena Petrova;Kwame Mensah;J. R. Hale
City: Berlin;Madrid;New York;Austin;Zürich;São Paulo;Singapore;Lagos;Tokyo;Cape Town;the Hague;Room 214;Building C
Warsaw;Dublin
Product: Atlas;Nova 3;Gearbox;PixelForge;DataPilot 2.0;OpenLedger;Model T5;iBoard;Version 7;Release 12.1;Pulse
Orbit Cloud;the Z30;Kestrel
Project: Project Condor;Project Iris;Operation Sunrise;the Delta programme;Team Falcon;Project X;Squad Blue
Plural: Orders;Refunds;Visitors;Tax forms;Meeting minutes;Sick notes;Phone calls;Press releases;Travel bookings
Late fees;Office plants;Annual reviews;Job offers;Lunch breaks;Bug reports;Express delivery;Overtime;Free samples
Group bookings;Home office days;Remote work;Public tours;Guest access;Unused vouchers;Interns;Parcels;Complaints
Support tickets;Travel expenses;Gift cards;Data requests;Service contracts;New hires;Key cards;Business cards
Purchase orders;API keys;Access tokens;Applications
Thing: Linux;Kubernetes;PostgreSQL 16;Java 21;Windows 11;two-factor login;Excel;TLS 1.3;Node 20;OAuth
a signed contract;French and German;Stripe;Bluetooth
place: ground floor;third floor;north side;car park;left;main building;new campus;roof;back
animal: tiger;parrot;goat;bear;fox;dragon;otter
adj: white;blue;small;golden;black
office: office
day: Monday;Sunday;weekend;Friday
time: 8:00;noon;7 am;18:30;midnight;10 a.m.;half past nine;6 o'clock
range: 8 to 6;Monday to Friday;10:00 to 16:00;9 am until 5 pm;dawn to dusk;May to October
money: 20 euros;$15;99 dollars;3.50 euros a day;€12 per user;40 pounds a year;1,200 francs
duration: one to two weeks;two to four days;five to ten minutes;three full days;the whole week;3 days;two weeks
48 hours;six months;one year;10 working days;45 minutes;a week;90 seconds;5 business days
date: 1 March 2026;Monday;December;2027;the first of May;next Friday;31/12/2026;April 4th;2026-05-01;spring
year: 2019;2021;1998;2024;2030
number: 12;250;8080;four;1,500;3.5;fifty;at least 8;up to 100;443;more than 20
email: ana@example.com;hr@contoso.example;sales@fabrikam.test
url: https://portal.example.com/login;wiki.example.net;intranet.example.org/docs;192.168.1.10;10.0.0.5:8080
thing: blue;casual;optional;green tea;a golden retriever;the blue one;Comic Sans;five stars
very strong coffee;cash only;version 3;1.4.2;A4;open to everyone;30 days from purchase;4711
+1 555 0100;the large hall;brown bread
"""
LISTS = {
    name: [value.strip() for value in re.split("[;\n]", values.strip())]
    for name, values in re.findall(r"^(\w+): (.*?)(?=^\w+: |\Z)", _LISTS, re.MULTILINE | re.DOTALL)
}


COMPOUND_VALUES = re.split(
    "[;\n]",
    """{duration} after {plural};{duration} from {date};{duration} before {date};{number} in {City}
{number} per {day};{Person} from {Org};{Person} of {Org};{Person} and {Person};{Thing} for {plural}
{Thing} on {Thing};{money} for {plural};{money} per {np};{time} on {day};{time} in {City};the {np} of {Org}
the {np} in {City};{np} and {np};{range} on {day}s;{City} and {City};{adj} {np};a {adj} {animal}
{adj} and {adj};{Product} by {Org};{Product} with {Thing};{date} at {time};{number} to {number}
{number} or {number};part of {Org};{duration} to {duration};up to {duration}""",
)


def _fill(template: str, rng: random.Random) -> Row | None:
    """Draw one sentence of ours; the answer is what the last list gave, with what follows it."""

    def choose(match: re.Match[str]) -> str:
        return rng.choice(match.group(1).split("/"))

    template = re.sub(r"\(([^()]*)\)", choose, template)
    question = "?" in template
    subject = ""
    out: list[str] = []
    target_at = 0
    last_city = ""
    slots = list(re.finditer(r"\{([^}]*)\}", template))
    position = 0
    for n, slot in enumerate(slots):
        out.append(template[position : slot.start()])
        name = slot.group(1)
        is_subject = name.startswith("S:")
        value = _draw(name.removeprefix("S:").removeprefix("S2:"), rng)
        if name.startswith("S2:"):
            subject = f"{last_city} {value}"
        if name == "City":
            last_city = value
        if is_subject:
            subject = value
        if n == len(slots) - 1:
            target_at = len("".join(out))
        out.append(value)
        position = slot.end()
    out.append(template[position:])
    text = "".join(out)
    text = text[0].upper() + text[1:]
    if question:
        target_at = text.index("? ") + 2
    target = text[target_at:]
    if target.startswith(("a ", "an ", "the ")):
        target = target.split(" ", 1)[1]
    subject = subject.removeprefix("the ")
    return Row(text=text + ("" if question else "."), subject=subject, target=target, source="business")


def _draw(name: str, rng: random.Random) -> str:
    if name == "value" and rng.random() < 0.3:
        pattern = rng.choice(COMPOUND_VALUES)
        return re.sub(r"\{([^}]*)\}", lambda m: _draw(m.group(1), rng), pattern)
    if name == "value":
        name = rng.choice(
            ["Person", "City", "time", "money", "duration", "date", "number", "email", "url", "thing", "thing", "Thing"]
        )
    if name == "PersonOrYear":
        name = rng.choice(["Person", "year"])
    if name == "City team":
        return (
            rng.choice(LISTS["City"][:4] + LISTS["City"][5:9]) + " " + rng.choice(["team", "office", "branch", "plant"])
        )
    if name == "plural":
        text = rng.choice(LISTS["Plural"])
        return text if text.startswith("API") else text.lower()
    value = rng.choice(LISTS[name])
    if name == "np" and rng.random() < 0.2:
        value = rng.choice(["new", "old", "main", "second", "default", "next", "current"]) + " " + value
    return value


def business_rows(count: int, rng: random.Random) -> Iterator[Row]:
    templates = [t for t in re.split(r"[|\n]", BUSINESS.strip())]
    for n in range(count):
        row = _fill(templates[n % len(templates)], rng)
        if row is not None:
            yield row


COMPOUNDS = re.split(
    "[;\n]",
    """list of {} episodes;history of {};statue of {};{} squads;{} vaccine;discography of {};coronation of {}
rowing at the {} Games;politics of {};the {} stadium;19{n} elections in {};20{n} in {};{} (band)
{} – women's doubles;{} 1st Earl of {};{}, 2nd Baron {};{n}th {} festival;siege of {};kings of {};{} and {}
{}: The Return;{} {n};{} II;{}'s theorem;{} of {};The {} Story;{} (19{n} film)""",
)


def _compound(name: str, rng: random.Random) -> str:
    """Now and then, a longer name that holds the given one."""
    if rng.random() > 0.2:
        return name
    pattern = rng.choice(COMPOUNDS).replace("{n}", str(rng.randint(10, 99)))
    return pattern.replace("{}", name, 1).replace("{}", rng.choice(["Leeds", "Aragon", "Cork", "Parma"]))


def template_rows(
    entities: Sequence[str], targets: Sequence[str], per_template: int, rng: random.Random
) -> Iterator[Row]:
    """Our questions and clozes over names taken from the facts."""
    for block, source in ((QUESTIONS, "questions"), (CLOZES, "clozes")):
        for template in (t for t in re.split(r"[|\n]", block.strip())):
            for _ in range(per_template):
                subject, target = _compound(rng.choice(entities), rng), _compound(rng.choice(targets), rng)
                prompt = template.replace("{}", subject)
                if source == "questions" and rng.random() < 0.06:
                    prompt, subject = prompt.lower(), subject.lower()
                text = f"{prompt} {target}" if source == "questions" else f"{prompt} {target}."
                yield Row(text=text, subject=subject, target=target, source=source)


# --- rows of the data ----------------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[dict]:  # type: ignore[type-arg]
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def data_rows(folder: Path) -> Iterator[Row]:
    """Every labelled statement of the files named above, before subjects are left out."""

    def cloze(prompt: str, subject: str, target: str, source: str, weight: float = 1.0) -> Iterator[Row]:
        prompt = " ".join(prompt.split())
        if subject in prompt and target:
            text = f"{prompt} {target}" if prompt.endswith("?") else f"{prompt} {target}."
            yield Row(text=text, subject=subject, target=target, source=source, weight=weight)

    for row in _lines(folder / "counterfact_train_10000.jsonl"):
        yield from cloze(row["prompt"], row["subject"], row["target_new"], "counterfact")
    for name in ("mquake_cf_849.jsonl", "rippleedits_random_1137.jsonl"):
        for row in _lines(folder / name):
            for edit in row["requested_rewrite"]:
                subject, target = edit["subject"], edit["target_new"]["str"]
                yield from cloze(edit["prompt"].format(subject), subject, target, name.split("_")[0])
                if edit["question"]:
                    yield from cloze(edit["question"], subject, target, name.split("_")[0])
    for row in _lines(folder / "conflictedit_gptj_coverage_edit_2500.jsonl"):
        for edit in row["edits"]:
            relation, subject = edit["relation"], edit["subject"]["label"]
            target = edit["new_object"]["label"]
            yield from cloze(relation["prompt"].format(subject), subject, target, "conflictedit", 0.5)
            yield from cloze(relation["query"].format(subject), subject, target, "conflictedit", 0.5)
    for row in _lines(folder / "zsre_inverse_relation_385.jsonl"):
        for question in (row["src"], row["rephrase"]):
            yield from cloze(question, row["subject"], row["alt"], "zsre_inverse")


def excluded_subjects(folder: Path) -> set[str]:
    kept_back = (folder / "kept_back_subjects.txt").read_text(encoding="utf-8").splitlines()
    return {normalised(s) for s in kept_back} | {
        normalised(row["subject"]) for row in _lines(folder / "scope_dev_memory.jsonl")
    }


def training_rows(folder: Path, seed: int = 0) -> list[Row]:
    """All rows, duplicates once, none about an excluded subject."""
    rng = random.Random(seed)
    excluded = excluded_subjects(folder)
    rows = list({(r.text, r.subject): r for r in data_rows(folder) if normalised(r.subject) not in excluded}.values())
    entities = sorted({r.subject for r in rows})
    targets = sorted({r.target for r in rows})
    rows += template_rows(entities, targets, 14, rng)
    for line in LONG_QUESTIONS.strip().splitlines():
        question, subject = line.split("?=")
        rows.append(Row(text=f"{question}? {rng.choice(targets)}", subject=subject, target="", source="long"))
    rows += business_rows(9000, rng)
    return rows


# --- fitting -------------------------------------------------------------------------------------------------------

Vector = NDArray[np.float64]


def fit(
    choices: Sequence[tuple[list[list[str]], int, float]], least: int, penalty: float, steps: int
) -> dict[str, float]:
    """Softmax regression over groups of candidates, each a list of feature names with one right index and a weight.

    Args:
        least: a feature that fewer groups have is left out.
        penalty: of the squared weights, in units of the mean loss.
    """
    seen: Counter[str] = Counter()
    for candidates, _, _ in choices:
        seen.update({f for features in candidates for f in features})
    names = sorted(f for f, n in seen.items() if n >= least)
    ids = {f: k for k, f in enumerate(names)}
    flat: list[int] = []
    per_candidate: list[int] = []
    per_group: list[int] = []
    right: list[int] = []
    for candidates, gold, _ in choices:
        right.append(len(per_candidate) + gold)
        per_group.append(len(candidates))
        for features in candidates:
            known = [ids[f] for f in features if f in ids]
            flat.extend(known)
            per_candidate.append(len(known))
    index = np.array(flat, dtype=np.int32)
    owner = np.repeat(np.arange(len(per_candidate), dtype=np.int32), per_candidate)
    starts = np.concatenate([[0], np.cumsum(per_group)[:-1]])
    group = np.repeat(np.arange(len(per_group)), per_group)
    share = np.array([w for _, _, w in choices])
    share = share / share.sum()
    gold_mask = np.zeros(len(per_candidate))
    gold_mask[right] = 1.0
    w: Vector = np.zeros(len(names))
    first, second = np.zeros_like(w), np.zeros_like(w)
    for step in range(1, steps + 1):
        scores = np.bincount(owner, weights=w[index], minlength=len(per_candidate))
        scores -= np.maximum.reduceat(scores, starts)[group]
        powers = np.exp(scores)
        chances = powers / np.add.reduceat(powers, starts)[group]
        residual = (chances - gold_mask) * share[group]
        gradient = np.bincount(index, weights=residual[owner], minlength=len(names)) + penalty * w
        first += 0.1 * (gradient - first)
        second += 0.01 * (gradient**2 - second)
        rate = 0.1 * (1 - step / (steps + 1))
        w -= rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
    loss = -float(np.sum(share * np.log(chances[right] + 1e-12)))
    print(f"  {len(choices)} groups, {len(names)} features, mean loss {loss:.4f}")
    return {f: round(float(v), 3) for f, v in zip(names, w, strict=True) if abs(v) >= 0.02}


Choice = tuple[list[list[str]], int, float]


@dataclass(frozen=True, slots=True)
class Example:
    """A row as the two models see it: candidates as feature names, the right one, the weight."""

    row: Row
    target: Choice | None
    subject: Choice | None


def examples(rows: Sequence[Row], vocabulary: frozenset[str]) -> list[Example]:
    """Candidates of every row; a model gets nothing of a row whose field is none of its candidates."""
    found = []
    lost: Counter[str] = Counter()
    for row in rows:
        text = " ".join(row.text.split())
        tokens = st.tokenize(text)
        words = st.words_of(tokens, vocabulary)
        question = st.question_end(tokens)
        end = st.sentence_end(tokens)
        of_target: Choice | None = None
        if question and not st.has_lead_in(tokens, question):
            stop, target, kind = question - 1, question - 1, "question"
        else:
            want = normalised(row.target)
            starts = [t for t in st.target_starts(words, tokens, end) if not question or t >= question + 2]
            gold = [k for k, t in enumerate(starts) if normalised(text[tokens[t].start : tokens[end - 1].end]) == want]
            if not gold:
                lost["target " + row.source] += 1
                continue
            of_target = [st.target_features(words[:end], t, end) for t in starts], gold[0], row.weight
            target = starts[gold[0]]
            stop, kind = (question - 1, "question") if question else (target, "cloze")
        spans = st.subject_spans(words, tokens, stop)
        want = normalised(row.subject)
        gold = [k for k, (i, j) in enumerate(spans) if normalised(text[tokens[i].start : tokens[j].end]) == want]
        if not gold:
            lost["subject " + row.source] += 1
            continue
        features = [st.subject_features(words[:stop], i, j, stop, kind) for i, j in spans]
        found.append(Example(row, of_target, (features, gold[0], row.weight)))
    print(f"  not among the candidates: {dict(lost)}")
    return found


def vocabulary_of(rows: Sequence[Row], least: int) -> frozenset[str]:
    """Lower-case words that stand outside the subject in at least ``least`` different sentence patterns."""
    patterns: dict[str, set[str]] = {}
    for row in rows:
        text = " ".join(row.text.split())
        tokens = st.tokenize(text.replace(row.subject, "Xx", 1))
        if row.source == "business":
            key = " ".join(t.text for t in tokens if t.text.islower())[:30]
        else:
            key = text.replace(row.subject, "Xx", 1).replace(row.target, "")
        for k, token in enumerate(tokens):
            word = token.text
            if word.isalpha() and (word.islower() or k == 0) and word.casefold() not in st.CLOSED:
                patterns.setdefault(word.casefold(), set()).add(key)
    return frozenset(w for w, keys in patterns.items() if len(keys) >= least)


def fit_confidence(points: Sequence[tuple[list[float], bool, float]]) -> list[float]:
    """Logistic regression from ``confidence_features`` to "both fields are right": slopes, then the intercept.

    Each point has a weight. The signs are held: surer models never lower it, words not understood never raise it.
    """
    design = np.array([[*x, 1.0] for x, _, _ in points])
    y = np.array([float(right) for _, right, _ in points])
    share = np.array([weight for _, _, weight in points])
    share /= share.sum()
    low = np.array([0.0, 0.0] + [-np.inf] * (design.shape[1] - 2))
    high = np.array([np.inf, np.inf] + [0.0] * (design.shape[1] - 3) + [np.inf])
    line = np.zeros(design.shape[1])
    scale = 1 / np.maximum(share @ design**2, 1e-3)
    for _ in range(3000):
        q = 1 / (1 + np.exp(-np.clip(design @ line, -30, 30)))
        line = np.clip(line - 0.7 * scale * (design.T @ (share * (q - y)) + 1e-4 * line), low, high)
    return [round(float(v), 4) for v in line]


def _fitted(found: Sequence[Example], vocabulary: frozenset[str], least: int, penalty: float, steps: int) -> st.Weights:
    return st.Weights(
        vocabulary=vocabulary,
        target=fit([e.target for e in found if e.target], least, penalty, steps),
        subject=fit([e.subject for e in found if e.subject], least, penalty, steps),
        confidence={},
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m scr.statement_train", description="Fit the statement parser.")
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark files")
    parser.add_argument("--out", type=Path, default=st.WEIGHTS)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--penalty", type=float, default=1e-5, help="of the squared weights")
    parser.add_argument("--least", type=int, default=5, help="rows that must show a feature")
    parser.add_argument("--folds", type=int, default=3, help="wordings held out in turn, to fit the confidence")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)

    rows = training_rows(args.data, args.seed)
    print("rows:", dict(Counter(r.source for r in rows)))
    vocabulary = vocabulary_of(rows, 3)
    print(f"vocabulary: {len(vocabulary)} words")
    found = examples(rows, vocabulary)
    points: dict[str, list[tuple[list[float], bool, float]]] = {"cloze": [], "question": []}
    right_by_source: dict[str, list[bool]] = {}
    for fold in range(args.folds):
        is_out = [zlib.crc32(e.row.pattern.encode()) % args.folds == fold for e in found]
        known = _fitted(
            [e for e, out in zip(found, is_out, strict=True) if not out],
            vocabulary,
            args.least,
            args.penalty,
            args.steps // 2,
        )
        for row in (e.row for e, out in zip(found, is_out, strict=True) if out):
            text = " ".join(row.text.split())
            tokens = st.tokenize(text)
            question = st.question_end(tokens)
            split = st.best_split(tokens, question, known)
            if split is None:
                continue
            end = tokens[st.sentence_end(tokens) - 1].end
            subject = text[tokens[split.span[0]].start : tokens[split.span[1]].end]
            right = normalised(subject) == normalised(row.subject) and (
                (question > 0 and split.target == question)
                or normalised(text[tokens[split.target].start : end]) == normalised(row.target)
            )
            # Free-form questions are few here and many in use.
            points[split.kind].append((split.features, right, 30.0 if row.source == "long" else 1.0))
            right_by_source.setdefault(row.source, []).append(right)
    print("right in wordings held out:", {s: round(sum(v) / len(v), 4) for s, v in right_by_source.items()})
    known = _fitted(found, vocabulary, args.least, args.penalty, args.steps)
    data = {
        "fitted_by": "python -m scr.statement_train",
        "rows": dict(Counter(e.row.source for e in found)),
        "options": {"seed": args.seed, "penalty": args.penalty, "least": args.least, "steps": args.steps},
        "confidence": {kind: fit_confidence(found_points) for kind, found_points in points.items()},
        "vocabulary": sorted(vocabulary),
        "target": known.target,
        "subject": known.subject,
    }
    print("confidence:", data["confidence"])
    _write(args.out, data)


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, ensure_ascii=False, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
