"""Which words ask for the same, which stand in each other's place, and which names are one name?

A *concept* is a set of words that ask for the same thing ("born", "birthplace"); concepts of one line of ``RIVALS``
exclude each other: a question for the one is no question for the other ("boiling" against "melting"). Words are
compared by their stems, given names without accents and case.
"""

from __future__ import annotations

from functools import lru_cache

# Concepts of one line are separated by "|".
RIVALS = (
    # a life
    "born birth birthplace birthday | died die dies death dead deceased | buried burial grave tomb | "
    "married marriage wedding marry | educated education studied study studies graduate graduated alma school "
    "university college attend attended | lives live lived resides residence",
    "mother mom mum | father dad | sibling siblings brother brothers sister sisters | spouse wife husband | "
    "child children son sons daughter daughters kid kids | grandfather grandmother | uncle aunt cousin nephew niece | "
    "colleague friend boss | parents",
    "brother brothers | sister sisters",
    "wife | husband",
    "son sons | daughter daughters",
    "occupation job profession trade occupations | employer employs employed | citizen citizenship nationality "
    "passport | language languages tongue speak speaks spoken fluent | instrument instruments | sport sports | "
    "religion faith religious | gender sex | height tall | age old | weight weigh weighs heavy | "
    "salary wage earn earns income | award awards prize prizes honour honor honoured | party | nickname | "
    "birth birthplace birthday born | team club | "
    "position role | school university college | spouse wife husband | cause causes | politics political | hobby",
    # a place
    "capital | currency money | population inhabitants inhabitant | president | king queen monarch | anthem | flag | "
    "language languages | religion | continent | area surface | climate weather | border borders neighbouring | "
    "mayor | governor | minister chancellor premier | elevation altitude | founded founder established | height tall",
    "country nation | state province | city town | continent | county district | river",
    "river rivers | lake lakes | mountain mountains | island islands | volcano",
    "north | south | east | west",
    "northern | southern | eastern | western",
    # an organisation
    "ceo chief executive boss runs run lead leads led leader | founder founded founding founders started | "
    "headquarters headquartered | employees employee staff workforce | owner owned owns own | industry sector | "
    "revenue turnover profit sales | logo | website url | phone telephone call dial | email | fax | motto slogan | "
    "subsidiary subsidiaries | chairman chairperson | treasurer | parent | address",
    "founded founding established inception | sold | closed dissolved | renamed",
    "buyer buy buys bought purchase | seller sell sells sold",
    "import imports | export exports",
    # a work
    "author wrote writer written writes | publisher | illustrator illustrated | translator translated | editor edited "
    "| director directed | producer produced | composer composed music | screenwriter screenplay | cast starring stars "
    "actor actors actress starred acted | performer performed sings sang sung singer | genre genres | character "
    "characters protagonist hero | pages page | label | network channel broadcaster broadcast | episodes episode | "
    "budget | length duration runtime | released release published publication premiered premiere | "
    "language languages | sequel | distributor distributed | lyricist lyrics | narrator",
    "sequel follows following successor succeeded | prequel preceded predecessor",
    # a product, a building
    "price cost costs priced fee | colour color colours colors | weight weigh weighs heavy | warranty guarantee "
    "guaranteed | size sizes dimensions | length | height tall | width wide | depth deep | speed fast | material | "
    "manufacturer manufactured maker manufactures | developer developed develops | battery | rating | stock | "
    "include includes included contains contain | cancel cancellation cancelled | delivery shipping ship deliver | "
    "return returns refund refunds | designer designed | invented inventor invent | discount | "
    "password passcode | address | discovered discoverer discovery | engine | storage memory",
    "architect architects | engineer | owner owned owns | builder",
    "phone telephone | email mail | fax | address | website | hours",
    "manages manager managed manage | address | phone telephone | opens open opening | size capacity | built",
    "username | password",
    # times and amounts
    "opens open opening opened | closes close closing closed shut shuts",
    "start starts started begin begins beginning | end ends ended ending finish finishes finished",
    "arrive arrives arrival arrived | depart departs departure leave leaves left",
    "first | last final",
    "minimum least smallest | maximum most largest biggest | average",
    "oldest | youngest newest | largest biggest | smallest | longest | shortest | tallest highest | lowest | fastest",
    "before | after",
    "inside | outside",
    "morning | afternoon | evening | night | noon",
    "weekday weekdays | weekend weekends",
    "daily | weekly | monthly | yearly annual annually | quarterly",
    "spring | summer | autumn | winter",
    "monday | tuesday | wednesday | thursday | friday | saturday | sunday",
    "buying | selling | renting",
    # matter, health, people at a place
    "boiling boil boils | melting melt melts | freezing freeze freezes | flash | burning",
    "cause causes caused | cure cures cured treat treatment | symptom symptoms | prevent prevention | risk",
    "admin administrator | guest guests visitor visitors | staff | member members",
    "adult adults | child children kids | senior seniors | student students",
    "student students taught | teacher teachers teaches",
    "winner won win wins | loser lost lose",
    "coach trainer | captain | stadium arena | players player | league | owner | mascot",
    "breakfast | lunch | dinner",
    "domestic | international | foreign",
    "input | output",
    "upload | download",
    "left | right",
    "male | female",
)
"""Lines of concepts that exclude each other."""

ALIKE = (
    "located location place situated find found lies where whereabouts",
    "headquarters headquartered based base office offices seat",
    "job occupation profession trade living career work works working",
    "employer employs employed employ work works company",
    "founder founded founding founders started set created creator establish established inception formed formation",
    "citizen citizenship nationality passport country origin",
    "native tongue language languages speak speaks spoken mother",
    "currency money cash pay pays tender",
    "capital seat government",
    "industry sector business line branch",
    "field subject area discipline specialty specialises expert",
    "creator created author wrote written writer maker",
    "creator created artist painter painted",
    "creator created composer composed",
    "manufacturer maker makes made produces produced builds built builder",
    "formed formation began started origin came",
    "population people inhabitants live",
    "ceo chief executive boss runs leads led leader head charge",
    "manages manager managed responsible charge",
    "phone telephone call number dial reach",
    "email mail send write",
    "author wrote writer written writes book",
    "released release published publication came premiered aired debut",
    "character protagonist hero",
    "setting set takes place happen",
    "price cost costs sells pay much",
    "warranty covered guarantee guaranteed",
    "time hour when clock",
    "architect designed design plans",
    "developer developed develops created creator made makes maker manufacturer manufactured product produced",
    "owner owned owns belongs belong",
    "team club plays play",
    "instrument plays play perform performs",
    "position plays play role",
    "religion religious faith follower belief believes",
    "spouse wife husband married marry partner",
    "alma studied study school university college attended attend degree educated",
    "named namesake eponym after",
    "inventor invented invent invention created",
    "discovered discoverer discovery found",
    "performer performed sings sang singer sung",
    "network channel broadcast broadcaster aired airs original",
    "genre style kind type",
    "known famous notable significant achievement special interesting",
    "residence live lives lived resides home",
    "twin sister partner",
    "allowed allow allows may permitted",
    "deadline due until expire expires",
    "notice period days",
    "year date day when",
    "material made",
    "successor followed follows next",
    "predecessor preceded previous before",
)
"""Words that may ask for the same."""

_GIVEN_NAMES = (
    "abigail abby | alexander alex sandy sasha aleksandr alejandro | albert al bert | alfred al fred alf | "
    "amanda mandy | andrew andy drew andrei | angela angie | anthony tony antonio | arthur art | barbara barb barbie | "
    "benjamin ben benny | bernard bernie | bradley brad | catherine katherine kate katie kathy cathy katy katey "
    "kathryn kathleen | charles charlie chuck carl | christopher chris kit | christine chris tina christina | "
    "cynthia cindy | daniel dan danny | david dave davy | deborah debbie debra deb | dennis denny | donald don donnie "
    "| dorothy dot dolly | douglas doug | edward ed eddie ted ned eduardo | edwin ed | eleanor ellie nell | "
    "elizabeth liz beth betty eliza lisa lizzie elisabeth | eugene gene | florence flo | frances fran | "
    "francis frank francisco | frederick fred freddie freddy frederic friedrich | gabriel gabe | george jorge georgie "
    "| gerald gerry jerry | gregory greg | harold harry hal | henry hank harry enrique heinrich | herbert herb | "
    "jacob jake | jacqueline jackie | james jim jimmy jamie jaime | jeffrey jeff geoffrey geoff | "
    "jennifer jen jenny | jeremy jerry | jessica jess | john jack johnny jon juan johann | jonathan jon nathan | "
    "joseph joe joey jose josef | joshua josh | judith judy | julia julie | kenneth ken kenny | kimberly kim | "
    "lawrence larry laurence | leonard leo len lenny | leonardo leo | louis lou lewis luis ludwig | lucas luke | "
    "margaret maggie meg peggy rita | marcus mark marc marcos | martin marty | mary maria marie molly | matthew matt | "
    "maximilian max | melissa mel | michael mike mick mickey miguel mikhail micky | mitchell mitch | mohammed muhammad "
    "mohamed mohammad | nathaniel nate nathan | nicholas nick nicky nicolas nico | norman norm | oliver ollie | "
    "pamela pam | patricia pat patty trish | patrick pat paddy | paul pablo pavel | penelope penny | peter pete pedro "
    "pyotr | philip phil phillip felipe philippe | randall randy | raymond ray | rebecca becky | reginald reggie | "
    "richard dick rick ricky rich ricardo | robert bob rob bobby robbie roberto | rodney rod | roger rog | "
    "ronald ron ronnie | rudolph rudy rudolf | russell russ | samantha sam | samuel sam sammy | sandra sandy | "
    "sergei sergey serhiy sergio | sidney sid | stanley stan | stephanie steph | stephen steven steve stefan esteban | "
    "susan sue susie suzanne susanna | sylvester sly | terence terry terrance | teresa terri theresa terry | "
    "theodore ted teddy theo | thomas tom tommy tomas | timothy tim | victoria vicky tori | "
    "vincent vince vinny vicente | virginia ginny | vladimir volodymyr | walter walt wally | wesley wes | "
    "william bill will billy willie willy "
    "liam guillermo wilhelm | zachary zach zack | nikolai nikolay mykola nicolas"
)

DESIGNATORS = frozenset(
    "republic kingdom democratic people peoples federal federation socialist islamic united states state commonwealth "
    "inc corp corporation company co ltd limited plc llc gmbh ag sa group sir dame lord lady dr mr mrs ms king queen "
    "prince princess saint st president jr sr ii iii iv city town film movie song album novel band series book "
    "university county".split()
)
"""Words that stand before or behind a name and leave it the same name."""


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """Return ``word`` without the commonest English endings.

    >>> stem("founded"), stem("founder"), stem("cities"), stem("is")
    ('found', 'found', 'city', 'is')
    """
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: len(word) - len(ending)] + instead
    return word


_ENDINGS = (
    ("ies", "y"),
    ("sses", "ss"),
    ("ating", "at"),
    ("ation", "at"),
    ("ators", "at"),
    ("ator", "at"),
    ("ated", "at"),
    ("ates", "at"),
    ("ate", "at"),
    ("ing", ""),
    ("ed", ""),
    ("ers", ""),
    ("er", ""),
    ("ors", ""),
    ("or", ""),
    ("es", ""),
    ("s", ""),
    ("e", ""),
)


def _concepts(lines: tuple[str, ...]) -> tuple[dict[str, frozenset[int]], frozenset[tuple[int, int]]]:
    """Number the concepts; return them by stem, and the pairs that stand in one line."""
    of_stem: dict[str, frozenset[int]] = {}
    pairs: set[tuple[int, int]] = set()
    number = 0
    for line in lines:
        first = number
        for words in line.split("|"):
            for word in words.split():
                of_stem[stem(word)] = of_stem.get(stem(word), frozenset()) | {number}
            number += 1
        pairs |= {(a, b) for a in range(first, number) for b in range(first, number) if a != b}
    return of_stem, frozenset(pairs)


_EXCLUSIVE, _RIVAL_PAIRS = _concepts(RIVALS)
_ALIKE, _ = _concepts(ALIKE)
_NONE: frozenset[int] = frozenset()


@lru_cache(maxsize=65536)
def same_meaning(one: str, other: str) -> bool:
    """Whether two stems may ask for the same.

    >>> same_meaning(stem("wife"), stem("married")), same_meaning(stem("wife"), stem("mother"))
    (True, False)
    """
    return (
        one == other
        or bool(_EXCLUSIVE.get(one, _NONE) & _EXCLUSIVE.get(other, _NONE))
        or bool(_ALIKE.get(one, _NONE) & _ALIKE.get(other, _NONE))
    )


@lru_cache(maxsize=65536)
def exclude_each_other(one: str, other: str) -> bool:
    """Whether one stem asks for what the other does not.

    >>> exclude_each_other(stem("boiling"), stem("melting")), exclude_each_other(stem("boiling"), stem("boils"))
    (True, False)
    """
    if same_meaning(one, other):
        return False
    return any((a, b) in _RIVAL_PAIRS for a in _EXCLUSIVE.get(one, _NONE) for b in _EXCLUSIVE.get(other, _NONE))


GIVEN_NAMES: dict[str, frozenset[str]] = {}
"""Every form of a given name, by each of them."""
for _line in _GIVEN_NAMES.split("|"):
    for _name in _line.split():
        GIVEN_NAMES[_name] = GIVEN_NAMES.get(_name, frozenset()) | frozenset(_line.split())


def same_given_name(a: str, b: str) -> bool:
    """Whether two words are forms of one given name.

    >>> same_given_name("tom", "thomas"), same_given_name("tom", "tim")
    (True, False)
    """
    return b in GIVEN_NAMES.get(a, ())


__all__ = [
    "ALIKE",
    "DESIGNATORS",
    "GIVEN_NAMES",
    "RIVALS",
    "exclude_each_other",
    "same_given_name",
    "same_meaning",
    "stem",
]
