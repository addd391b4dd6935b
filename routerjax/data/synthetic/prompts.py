"""English prompts for the embedded synthetic table, built from templates and word lists.

A prompt tells of its query's latent state as real text does. The signs of the four topic
coordinates choose one of sixteen subjects, whose people, places, things and concepts fill the
slots; the difficulty chooses, slot by slot and with some jitter, an easy, middle or hard bank.
All text was written for this file; the questions need not have answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Words = tuple[str, ...]
Graded = tuple[Words, Words, Words]  # easy, middle, hard

JITTER = 0.45  # of each slot's difficulty and of each topic, in their standard deviations
SLOTS = 32  # random numbers a prompt may use


class Subject(NamedTuple):
    """Words of one subject; every bank holds five, so that any stride visits all of them."""

    name: str
    people: Words
    places: Words
    things: Words
    deeds: Words
    concepts: Graded


class Frame(NamedTuple):
    """How a task is worded: one opening, `repeats` pieces of the body, one closing."""

    opening: Graded
    body: Graded
    repeats: tuple[int, int, int]
    closing: Graded


def _words(text: str) -> Words:
    return tuple(word.strip() for word in text.split(","))


def _subject(
    name: str, people: str, places: str, things: str, deeds: str, easy: str, middle: str, hard: str
) -> Subject:
    concepts = (_words(easy), _words(middle), _words(hard))
    return Subject(name, _words(people), _words(places), _words(things), _words(deeds), concepts)


# In the order of the bits (nature, mind, wide, modern): the sign of each topic coordinate.
SUBJECTS = (
    _subject(
        "cooking",
        "baker, line cook, pastry chef, food critic, waiter",
        "the bakery, the hotel kitchen, the cookery school, the food market, the dining room",
        "loaves of bread, jars of jam, mixing bowls, pancakes, onions",
        "kneading dough, simmering a sauce, whisking egg whites, slicing carrots, tasting the soup",
        "boiling water, table salt, a sharp knife, melted butter, a hot oven",
        "caramelised sugar, a brown roux, rising yeast, whipped mayonnaise, blanched greens",
        "Maillard browning, starch retrogradation, lecithin micelles, transglutaminase binding, "
        "alginate spherification",
    ),
    _subject(
        "home repair",
        "plumber, electrician, carpenter, house painter, roofer",
        "the garage, the half finished bathroom, the hardware store, the attic, the basement",
        "screws, paint cans, floor tiles, light switches, wooden boards",
        "drilling a wall, sanding a door, fixing a leaky tap, wiring a lamp, measuring a shelf",
        "a hammer, a wet floor, a loose nail, a ladder, a dripping tap",
        "a load bearing wall, a circuit breaker, pipe insulation, wood primer, a spirit level",
        "residual current protection, thermal bridging, hydrostatic backflow prevention, "
        "intumescent sealant, interstitial condensation",
    ),
    _subject(
        "seafaring",
        "sailor, ship captain, fisherman, lighthouse keeper, harbour pilot",
        "the harbour, the quay, the foredeck, the old lighthouse, the shipyard",
        "barrels of salt fish, ropes, anchors, sails, crates of spice",
        "hauling a net, hoisting the mainsail, reading a chart, rowing ashore, mooring the boat",
        "the wind, a wooden boat, a strong rope, the tide, a fishing net",
        "a reef knot, dead reckoning, the trade winds, a tidal current, the draught of a hull",
        "lunar distance longitude, metacentric stability, general average contributions, "
        "gyrocompass precession, amphidromic points",
    ),
    _subject(
        "transport",
        "train driver, bus conductor, pilot, traffic planner, courier",
        "the railway station, the airport gate, the motorway, the metro depot, the parcel hub",
        "train tickets, parcels, suitcases, road signs, shipping containers",
        "boarding a train, parking the van, checking tickets, landing a plane, loading a truck",
        "a red light, a seat belt, a train ticket, a flat tyre, a bus stop",
        "a hub and spoke network, signal interlocking, jet fuel, a one way street, rush hour",
        "moving block signalling, stochastic headway control, Braess congestion, "
        "transonic wave drag, intermodal cabotage rules",
    ),
    _subject(
        "music",
        "violinist, choir singer, piano teacher, composer, drummer",
        "the concert hall, the rehearsal room, the village church, the music school, the bandstand",
        "violin strings, song sheets, drums, piano keys, flutes",
        "tuning a guitar, singing a lullaby, conducting a choir, playing scales, playing a waltz",
        "a loud drum, a happy song, a slow beat, a choir, a piano key",
        "a minor chord, syncopation, a string quartet, sonata form, perfect pitch",
        "enharmonic modulation, isorhythmic motets, dodecaphonic rows, species counterpoint, "
        "Pythagorean comma temperament",
    ),
    _subject(
        "film and games",
        "film director, game designer, actor, video editor, cinema usher",
        "the cinema, the film set, the gaming arcade, the animation studio, the living room sofa",
        "movie tickets, game consoles, costumes, storyboards, cameras",
        "filming a chase scene, playing a video game, editing a trailer, rehearsing lines, "
        "drawing a cartoon",
        "a funny movie, a game score, a camera, a hero, popcorn",
        "a jump cut, a plot twist, frame rate, a side quest, method acting",
        "diegetic sound bridges, ludonarrative dissonance, anamorphic compression, "
        "procedural rhetoric, Kuleshov montage",
    ),
    _subject(
        "ancient history",
        "archaeologist, museum curator, Roman senator, historian, scribe",
        "the ruined temple, the royal archive, the burial mound, the museum vault, the old forum",
        "clay tablets, bronze coins, marble statues, scrolls, amphorae",
        "copying a manuscript, excavating a tomb, crowning a king, translating an inscription, "
        "besieging a city",
        "an old king, a castle wall, a gold coin, a pyramid, a long war",
        "the fall of Rome, feudal duties, the Silk Road, city states, cuneiform writing",
        "dendrochronological dating, Seleucid succession, palimpsest stemmatics, "
        "Diocletian's tetrarchy, Hittite vassal treaties",
    ),
    _subject(
        "finance",
        "banker, accountant, tax lawyer, stock trader, insurance broker",
        "the bank, the trading floor, the tax office, the boardroom, the stock exchange",
        "shares, invoices, gold bars, savings accounts, loan contracts",
        "signing a contract, auditing the books, selling shares, paying a bill, raising a loan",
        "a bank account, a price tag, pocket money, a weekly wage, a small loan",
        "compound interest, supply and demand, a balance sheet, inflation, a corporate bond",
        "convexity hedging, adverse selection equilibria, monetary neutrality, "
        "contingent convertible tranches, Ricardian equivalence",
    ),
    _subject(
        "gardening",
        "gardener, florist, beekeeper, orchard owner, allotment holder",
        "the greenhouse, the rose garden, the flower shop, the vegetable patch, the orchard",
        "tulip bulbs, apple trees, watering cans, tomato seedlings, flower pots",
        "watering the roses, planting bulbs, pruning a hedge, picking apples, raking leaves",
        "a green leaf, a flower pot, a sunny spot, a seed, an apple tree",
        "crop pollination, leaf mulch, a grafted rose, compost heat, photosynthesis",
        "mycorrhizal symbiosis, vernalisation thresholds, apical dominance by auxin, "
        "cation exchange in loam, stomatal conductance",
    ),
    _subject(
        "medicine",
        "nurse, surgeon, patient, pharmacist, family doctor",
        "the hospital ward, the operating theatre, the pharmacy, the dental clinic, the X-ray room",
        "bandages, pills, blood samples, syringes, X-ray pictures",
        "taking a pulse, bandaging a wrist, giving a vaccine, examining a tooth, "
        "weighing a newborn",
        "a fever, a broken arm, a healthy heart, clean hands, a cough",
        "blood pressure, antibiotic resistance, an allergic reaction, insulin, a clinical trial",
        "nephrotic syndrome, pulmonary capillary wedge pressure, myasthenia gravis, "
        "cytochrome inhibition, disseminated coagulopathy",
    ),
    _subject(
        "farming",
        "farmer, shepherd, milkmaid, tractor driver, cattle dealer",
        "the barn, the wheat field, the cow shed, the county fair, the hillside pasture",
        "sheep, eggs, sacks of wheat, bales of hay, cows",
        "milking a cow, ploughing a field, shearing sheep, feeding the hens, stacking hay",
        "a brown cow, a hen, fresh milk, a muddy field, a tractor",
        "crop rotation, animal fodder, drip irrigation, soil erosion, selective breeding",
        "ruminal acidosis, denitrifying leachate, glyphosate tolerance, zoonotic spillover, "
        "heterosis in hybrid maize",
    ),
    _subject(
        "energy",
        "wind turbine engineer, miner, power plant operator, solar installer, grid planner",
        "the wind farm, the power station, the coal mine, the solar park, the hydroelectric dam",
        "solar panels, batteries, turbine blades, tons of coal, transformers",
        "charging a battery, repairing a turbine, opening a dam, installing solar panels, "
        "drilling a well",
        "a battery, sunlight, an electric lamp, a coal fire, a windmill",
        "peak demand, nuclear fission, alternating current, a heat pump, hydroelectric storage",
        "reactive power compensation, perovskite degradation, Betz limits, "
        "synchronous inertia, neutron moderation",
    ),
    _subject(
        "animals",
        "zoo keeper, birdwatcher, dog trainer, vet, naturalist",
        "the zoo, the bird hide, the rock pool, the kennel, the rain forest",
        "parrots, bird nests, butterflies, puppies, tortoises",
        "feeding an elephant, walking a dog, ringing a bird, brushing a pony, "
        "watching a spider spin",
        "a cat, a bird nest, a big elephant, a fish, a furry dog",
        "a food chain, animal migration, camouflage, hibernation, a cold blooded reptile",
        "allopatric speciation, haplodiploid kin selection, countercurrent exchange, "
        "batesian mimicry, paedomorphic salamanders",
    ),
    _subject(
        "genetics",
        "biologist, lab technician, geneticist, doctoral student, microscopist",
        "the laboratory, the cold room, the gene bank, the sequencing centre, the fume hood",
        "test tubes, petri dishes, cell cultures, DNA samples, fruit flies",
        "counting bacteria, labelling a tube, sequencing a genome, staining a slide, "
        "crossing fruit flies",
        "a cell, eye colour, a microscope, twins, a germ",
        "a recessive gene, cell division, a mutation, a protein, the double helix",
        "epistatic interaction, chromatin remodelling, CRISPR off target cleavage, "
        "Robertsonian translocation, polyadenylation signals",
    ),
    _subject(
        "astronomy",
        "astronomer, stargazer, telescope maker, planetarium guide, calendar maker",
        "the observatory, the planetarium, the mountain dome, the dark desert, the meridian room",
        "stars, telescopes, moon rocks, star charts, meteorites",
        "watching an eclipse, polishing a mirror, naming a comet, counting meteors, "
        "pointing a telescope",
        "the moon, the night sky, a bright star, the sun, a planet",
        "a solar eclipse, the phases of the moon, a light year, gravity, an elliptical orbit",
        "axial precession, Chandrasekhar limits, baryon acoustic oscillations, "
        "gravitational lensing, Lagrange point stability",
    ),
    _subject(
        "climate",
        "meteorologist, geologist, glaciologist, park ranger, flood engineer",
        "the weather station, the glacier, the volcano rim, the flood plain, the polar camp",
        "ice cores, rain gauges, weather balloons, rock samples, sandbags",
        "launching a balloon, measuring rainfall, drilling an ice core, mapping a landslide, "
        "forecasting a storm",
        "rain, a cold winter, a thunder cloud, a rock, a river",
        "the water cycle, plate tectonics, the greenhouse effect, a cold front, volcanic ash",
        "thermohaline overturning, albedo feedback, baroclinic instability, "
        "isostatic rebound, aerosol radiative forcing",
    ),
)

GRADES: Graded = (
    _words("a primary school quiz, a children's reader, a beginner's worksheet"),
    _words("a high school test, a first year college course, an evening class"),
    _words("a doctoral examination, a graduate seminar, a professional board examination"),
)
MANNERS: Graded = (
    _words("with a smile, on a sunny day, slowly, with a friend, after lunch, happily"),
    _words(
        "before the inspection, despite a sudden delay, with borrowed equipment, as agreed, "
        "for the second time that week, following the manual"
    ),
    _words(
        "notwithstanding contradictory instructions, under an ambiguous stipulation, "
        "reconciling inconsistent accounts, contrary to established precedent, "
        "conditional upon an unverified assumption, with conspicuous reluctance"
    ),
)
TRAITS: Graded = (
    _words("kind, tired, happy, late, strong, hungry"),
    _words("experienced, careless, impatient, well prepared, forgetful, cautious"),
    _words("magnanimous, obstinate, inscrutable, fastidious, credulous, equivocal"),
)
SHARES: Graded = (
    _words("half, one, a pair, a few"),
    _words("a quarter, a third, 20 percent, 35 percent, two fifths"),
    _words("12.5 percent, five elevenths, 37.5 percent, seven sixteenths, 8.4 percent"),
)
LARGEST = (20, 400, 90_000)  # number in an easy, middle and hard prompt

FRAMES = {
    "mmlu": Frame(
        opening=(
            ("This is a question about {subject} from {grade}.", "From {grade} on {subject}:"),
            ("A question on {subject} set in {grade}.", "{subject}, as taught in {grade}:"),
            (
                "The following item on {subject} is taken from {grade}.",
                "Advanced {subject}, from {grade}; assume standard terminology.",
            ),
        ),
        body=(
            (
                "What does the {person} need most when {deed}?",
                "Which of these is found at {place}?",
                "Which one goes together with {things}?",
                "What do people in {subject} mean by {c1}?",
            ),
            (
                "Which of the following best explains {c1} to the {person}?",
                "Which idea connects {c2} with {deed} at {place}?",
                "How does {c1} change the result when {deed}?",
                "Which statement about {things} and {c3} is true?",
            ),
            (
                "Given {c1}, which condition is necessary but not sufficient for {c2}?",
                "Which hypothesis reconciles {c3} with the discrepancy that the {person} "
                "reported in {things}?",
                "Under which assumption does {c1} fail to imply {c4}, although {c2} obtains?",
                "Which mechanism most plausibly mediates between {c2} and {c3} when {deed}?",
            ),
        ),
        repeats=(1, 1, 2),
        closing=(
            ("A. {c1} B. {c2} C. {c3} D. {c4} Answer:", "(A) {c4} (B) {c2} (C) {c1} (D) {c3}"),
            (
                "A. {c1} B. {c2}, as seen at {place} C. {c3} D. none of these Answer:",
                "A. {c2} and {c3} B. {c1} alone C. {c4} D. {things} Answer:",
            ),
            (
                "A. {c1} but not {c2} B. {c3} only if {c4} C. neither {c2} nor {c3} "
                "D. {c4}, irrespective of {c1} Answer:",
                "A. {c2}, provided that {c1} B. {c3} C. {c4} unless {c2} D. both {c1} and {c3} "
                "Answer:",
            ),
        ),
    ),
    "hellaswag": Frame(
        opening=(
            ("{A_person} is {deed} at {place} {manner}.",),
            ("At {place}, the {person} is {deed} {manner} while the {other} waits.",),
            (
                "{A_person}, {trait} as ever, is {deed} at {place}, {manner}, which the {other} "
                "has been appointed to adjudicate.",
            ),
        ),
        body=(
            ("The {other} looks on {manner2}.", "There are {a} {things} near by."),
            (
                "The {other} counts the {things} and stops {manner2}.",
                "Someone mentions {c1}, and the {trait} {other} nods.",
                "A sign at {place} warns of {c2}.",
            ),
            (
                "An allusion to {c1} is overheard, {manner2}.",
                "The {things} are set aside {manner2}, and {c2} is invoked as a pretext.",
                "The {other} infers, {manner2}, that {c3} has been overlooked.",
            ),
        ),
        repeats=(1, 2, 2),
        closing=(
            (
                "What happens next? (a) The {person} starts {deed2}. (b) The {things} fly away. "
                "(c) The {other} goes home. (d) The {person} sings about {c1}.",
            ),
            (
                "Then the {person} (a) goes on {deed2} {manner2} (b) hands the {things} to the "
                "{other} (c) forgets {c1} (d) leaves {place} at once",
            ),
            (
                "Select the most plausible continuation: (a) the {person} resumes {deed2}, "
                "{manner} (b) the {other} disputes {c2} (c) the {things} are impounded "
                "(d) {c3} is repudiated",
            ),
        ),
    ),
    "gsm8k": Frame(
        opening=(
            ("The {person} has {a} {things}.", "There are {a} {things} at {place}."),
            (
                "The {person} buys {a} {things} for {b} dollars each at {place}.",
                "At {place} there are {b} boxes with {a} {things} in each.",
            ),
            (
                "A consignment of {a} {things} reaches {place}, of which {share} are defective "
                "and {b} are held in escrow by the {person}.",
                "Over a fiscal quarter the {person} procures {a} {things} at {b} dollars a gross, "
                "less a rebate of {share}.",
            ),
        ),
        body=(
            ("The {other} gives away {b} of them.", "Then {b} more come in after {deed}."),
            (
                "While {deed}, the {other} uses up {share} of them.",
                "Each week {b} {things} are sold, and {share} of the rest are stored.",
                "The {other} needs twice as many as the {person}.",
            ),
            (
                "The remainder is apportioned between the {person} and the {other} in the ratio "
                "{p} to {q}, after {share} is withheld.",
                "Thereafter the quantity depreciates by {share} per month, compounded, for {p} "
                "months.",
                "Every {p} days, {deed} at a rate proportional to the residual stock consumes "
                "{b} units.",
            ),
        ),
        repeats=(1, 2, 3),
        closing=(
            ("How many {things} are there now?", "How many {things} are left?"),
            (
                "How many {things} does the {person} have in the end?",
                "How much money does the {person} spend altogether?",
            ),
            (
                "Determine the {other}'s net proportion of the {things}, as a reduced fraction.",
                "Calculate, to the nearest cent, the average cost attributable to the {other}.",
            ),
        ),
    ),
    "arc-challenge": Frame(
        opening=(
            ("Science for young pupils, {subject}.", "A science question from {grade}."),
            ("Science test, topic {subject}.", "A science question from {grade} on {subject}."),
            ("Science olympiad, {subject}, from {grade}.", "Final round, theory of {subject}."),
        ),
        body=(
            (
                "The {person} is {deed}. Which of these helps?",
                "What can you see at {place}?",
                "Which of these is most like {c1}?",
            ),
            (
                "A class at {place} compares {a} {things}. Which factor should stay the same?",
                "The {person} notices that {c1} affects {c2}. What is the best explanation?",
                "Which observation about {things} would support the idea of {c1}?",
            ),
            (
                "An investigation of {c1} with {a} {things} yields anomalous measurements. Which "
                "confounding variable is the likeliest cause?",
                "The {person} thinks that {c2} accounts for {c3}. What evidence would refute it?",
                "Which quantity is conserved when {c1} is perturbed by {c4}?",
            ),
        ),
        repeats=(1, 1, 2),
        closing=(
            ("(A) {c2} (B) {c3} (C) {c4} (D) {things}",),
            ("(A) {c2} (B) the number of {things} (C) {c3} (D) {c1}",),
            ("(A) {c4} (B) the variance of {c2} (C) {c3}, inversely (D) {c1} to first order",),
        ),
    ),
    "winogrande": Frame(
        opening=(
            ("The {person} met the {other} at {place}.", "The {person} helped the {other}."),
            (
                "The {person} replaced the {other} at {place} {manner}.",
                "The {other} asked the {person} about {c1} {manner}.",
            ),
            (
                "Although the {other} had been exonerated at {place}, the {person} hesitated, "
                "{manner}.",
                "The {person} deferred to the {other} on the matter of {c1}, {manner}.",
            ),
        ),
        body=(
            ("They were {deed}, because _ was {trait}.", "It was easy, since _ was {trait}."),
            (
                "Because _ had been {deed} {manner2}, the other one seemed {trait}.",
                "The {things} were moved first, since _ was {trait} about {c2}.",
            ),
            (
                "Insofar as _ was deemed {trait}, responsibility for {deed} devolved on the other, "
                "{manner2}.",
                "Had _ been less {trait}, neither {c2} nor the {things} would have been contested.",
            ),
        ),
        repeats=(1, 1, 1),
        closing=(
            ("Who is _? Option 1: the {person}. Option 2: the {other}.",),
            ("Fill in the blank. Option 1: the {person}. Option 2: the {other}.",),
            ("Resolve the referent of the blank. Option 1: the {person}. Option 2: the {other}.",),
        ),
    ),
    "mbpp": Frame(
        opening=(
            ("For a page on {subject}, write a Python function that takes a list of {things}",),
            ("For the {person} at {place}, write a Python function that maps {things} to prices",),
            ("For large scale {subject}, implement a routine that reads a graph of {things}",),
        ),
        body=(
            ("and returns the longest name.", "and counts them.", "and adds up their prices."),
            (
                "and sorts them by price and drops {share} of them.",
                "and groups them by place and removes duplicates with a regular expression.",
                "and finds the {p} largest values without using the built in sort.",
            ),
            (
                "and computes a minimum spanning tree modulo {b} by memoised recursion.",
                "and enumerates all subsequences whose cumulative sum is divisible by {q}, in "
                "logarithmic memory.",
                "and solves the bounded knapsack problem by dynamic programming over bitmasks.",
            ),
        ),
        repeats=(1, 1, 1),
        closing=(
            ("Call it count_items. Example: assert count_items([{p}, {q}]) == {a}",),
            (
                "Cover {c1} and {c2}. Your code should pass: "
                "assert group_items({{'{person}': {a}, '{other}': {b}}}) == [{p}, {q}]",
            ),
            (
                "It models {c1} under {c2}. Handle overflow and degenerate input; your code must "
                "satisfy: assert optimise([({p}, {q}), ({a}, {b})], tolerance=1e-9) == {a}",
            ),
        ),
    ),
    "mt-bench": Frame(
        opening=(
            ("Tell me a story about the {person} at {place}.", "Please explain {c1} to a child."),
            (
                "Write a travel blog post about {place} for readers who like {subject}.",
                "Draft a polite letter from the {person} to the {other} about {c1}.",
            ),
            (
                "Critically appraise the claim that {c1} is reducible to {c2}, citing objections.",
                "Derive from first principles a quantitative model of {c1}, stating every premise.",
            ),
        ),
        body=(
            ("Use simple words.", "Say something about {things}.", "Make it fun."),
            (
                "Mention {c2} and keep to {a} words.",
                "Give three reasons and one example with {things}.",
                "Compare it with {c3} in a table.",
            ),
            (
                "Distinguish it rigorously from {c3}, and quantify the uncertainty.",
                "Anticipate the rejoinder of the {trait} {other} concerned with {c4}.",
                "Then formalise the argument in predicate logic, {manner}.",
            ),
        ),
        repeats=(1, 2, 2),
        closing=(
            ("Thank you!", "One sentence is enough."),
            ("Now rewrite it for the {other}.", "End with a question for the {person}."),
            (
                "Finally, refute your own conclusion under the constraint that {c2} is excluded.",
                "Finally, generalise the result to {c4} and delimit its domain of validity.",
            ),
        ),
    ),
}


def subjects_of(rng: np.random.Generator, topics: np.ndarray) -> np.ndarray:
    """[n] index into `SUBJECTS`: the signs of jittered topics [n, 4], read as a binary number."""
    bits = topics + JITTER * rng.standard_normal(topics.shape) > 0
    return bits @ np.array([8, 4, 2, 1])


def write_prompts(
    rng: np.random.Generator, tasks: Sequence[str], topics: np.ndarray, difficulty: np.ndarray
) -> tuple[str, ...]:
    """Write one prompt a query.

    Args:
      rng: the stream of the text.
      tasks: n names out of `FRAMES`.
      topics: [n, 4] latent topic coordinates, standard normal.
      difficulty: [n] latent difficulty, standard normal.

    Returns:
      n prompts.
    """
    n = len(difficulty)
    subjects = subjects_of(rng, topics).tolist()
    rolls = rng.integers(1 << 30, size=(n, SLOTS)).tolist()
    jittered = difficulty[:, None] + JITTER * rng.standard_normal((n, SLOTS))
    bands = np.digitize(jittered, (-0.5, 0.5)).tolist()
    return tuple(
        _prompt(FRAMES[tasks[i]], SUBJECTS[subjects[i]], rolls[i], bands[i]) for i in range(n)
    )


def _prompt(frame: Frame, subject: Subject, rolls: list[int], bands: list[int]) -> str:
    roll, band = iter(rolls), iter(bands)

    def pick(graded: Graded) -> str:
        words = graded[next(band)]
        return words[next(roll) % len(words)]

    slots = _slots(subject, pick, roll, band)
    repeats = frame.repeats[next(band)]
    pieces = [frame.opening, *[frame.body] * repeats, frame.closing]
    text = " ".join(dict.fromkeys(pick(piece) for piece in pieces))  # a piece drawn twice: once
    text = text.format_map(slots)
    return text[0].upper() + text[1:]


def _slots(
    subject: Subject, pick: Callable[[Graded], str], roll: Iterator[int], band: Iterator[int]
) -> dict[str, str]:
    """What fills the slots of one prompt; strides keep the words of one bank distinct."""
    start, stride = next(roll), 1 + next(roll) % 4
    person, other = (subject.people[(start + k * stride) % 5] for k in range(2))
    start, stride = next(roll), 1 + next(roll) % 4
    deed, deed2 = (subject.deeds[(start + k * stride) % 5] for k in range(2))
    start, stride = next(roll), 1 + next(roll) % 4
    slots = {f"c{k}": subject.concepts[next(band)][(start + k * stride) % 5] for k in range(1, 5)}
    slots.update(
        subject=subject.name,
        person=person,
        other=other,
        A_person=("An " if person[0] in "aeiou" else "A ") + person,
        place=subject.places[next(roll) % 5],
        things=subject.things[next(roll) % 5],
        deed=deed,
        deed2=deed2,
        grade=pick(GRADES),
        manner=pick(MANNERS),
        manner2=pick(MANNERS),
        trait=pick(TRAITS),
        share=pick(SHARES),
    )
    for name in ("a", "b"):
        largest = LARGEST[next(band)]
        slots[name] = f"{largest // 10 + next(roll) % largest}"
    slots["p"], slots["q"] = str(2 + next(roll) % 9), str(11 + next(roll) % 19)
    return slots
