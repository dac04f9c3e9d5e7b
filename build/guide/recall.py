"""Conversations in which a fact is told and later asked for.

Values come from large pools, a third of them made up on the spot, so that the
model has to copy them from the conversation instead of knowing them. Further
statements, questions and values are in recall_tell.txt, recall_ask.txt and
recall_values.txt.
"""
from pathlib import Path


def sections(name):
    """{"kind": [lines]} from a file with [kind] headings."""
    out, lines = {}, None
    for line in (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            lines = out.setdefault(line[1:-1], [])
        elif line.strip():
            lines.append(line.strip())
    return out


ONSETS = "b c d f g h j k l m n p r s t v w z br cl dr fr gr kr pl st tr sh th ch sk".split()
VOWELS = "a e i o u a e i o ai ia ee ou y".split()
CODAS = ["", "", "", "n", "r", "l", "s", "m", "k", "t", "x", "nd", "th", "ck", "ph"]
NAMES = """Mira Anna Ben Clara David Emma Felix Greta Hugo Ida Jan Katja Liam Maria Nina Oscar Paula Quentin Rosa Simon Tara Ulrich
Vera Walter Xenia Yusuf Zoe Ahmed Aisha Alex Alice Amir Andrea Anton Bob Boris Carlos Carmen Charlie Chen Chloe Daniel Diana Elena
Eric Eva Fatima Finn Frank Georg Hana Hannah Hans Ines Ingrid Ivan Jack James Jane Jin John Jonas Juan Julia Karim Kenji Laila Lars Laura
Leo Lena Lily Linh Lucas Lucy Magnus Marco Mark Martin Mary Max Mei Mia Michael Mohammed Nadia Naomi Noah Nora Olga Olivia Omar Pablo
Peter Pia Priya Rachel Raj Ravi Robert Ruth Sam Samira Sara Sarah Sofia Sophie Sven Tom Theo Thomas Tim Timo Tina Uma Victor Wei William
Yara Yuki Zara Arjun Bjorn Dmitri Esther Gianni Helena Isabel Jorge Kofi Lukas Mateo Niko Otto Petra Rahel Stella Tomas Ursula Viola
Bartholomew Guinevere Maximilian Anastasia Penelope Theodora Wilhelmina Sebastian Alessandra Jean-Luc Anne-Marie O'Neil McKay""".split()
COLOURS = "red blue green yellow orange purple pink brown black white grey turquoise teal crimson violet indigo magenta cyan gold silver beige ivory maroon navy olive coral salmon lavender amber bronze scarlet mint lilac khaki ochre azure emerald ruby".split()
SHADES = "dark light pale bright deep soft warm cold dusty royal sky sea forest midnight electric neon pastel moss".split()
CITIES = """Berlin Paris London Rome Madrid Vienna Prague Lisbon Oslo Stockholm Helsinki Warsaw Budapest Athens Dublin Zurich Geneva Hamburg
Munich Cologne Lyon Porto Seville Naples Milan Turin Florence Kyoto Tokyo Osaka Seoul Beijing Shanghai Delhi Mumbai Lima Quito Bogota
Santiago Toronto Montreal Vancouver Boston Chicago Seattle Denver Austin Dallas Houston Miami Portland Nairobi Lagos Accra Cairo Tunis
Istanbul Ankara Tbilisi Riga Tallinn Vilnius Krakow Gdansk Leipzig Dresden Basel Graz Ghent Antwerp Utrecht Leiden Aarhus Bergen Malmo
Reykjavik Sydney Perth Auckland Hanoi Manila Jakarta Lahore Kabul Tehran Baku Yerevan""".split()
CITY_FIRST = "New San Saint Port Los Fort Bad Santa North East Upper Lake Mount".split()
FOODS = """pizza pasta sushi soup rice bread cheese chocolate curry noodles pancakes apples bananas strawberries dumplings salad tacos
burgers lasagne risotto couscous falafel hummus kimchi ramen paella goulash porridge waffles cookies mangoes olives tomatoes potatoes
cherries grapes honey yoghurt beans lentils mushrooms spinach pumpkin""".split()
FOOD_FIRST = "tomato potato mushroom cheese onion apple lemon rice fish chicken lentil pumpkin carrot cherry garlic".split()
FOOD_LAST = "soup pie cake salad curry stew pasta bread tart risotto dumplings".split()
ANIMALS = """cat dog horse fox wolf bear owl eagle dolphin whale tiger lion elephant giraffe zebra penguin otter hedgehog rabbit squirrel
deer badger beaver lynx panda koala kangaroo octopus turtle frog gecko parrot raven swan heron bee butterfly spider crab seal walrus
lemur sloth camel llama goat sheep donkey hamster axolotl platypus armadillo""".split()
JOBS = """a teacher|a nurse|a doctor|a programmer|a carpenter|a baker|a pilot|an engineer|a lawyer|a gardener|a musician|a painter|a cook|a driver|
a farmer|a journalist|a librarian|an architect|an electrician|a plumber|a scientist|a designer|a translator|a photographer|a judge|
a firefighter|a postman|a waiter|a tailor|a watchmaker|a data scientist|a system administrator|a product manager|a bus driver|
a software developer|an accountant|a chemist|a physicist|a sailor|a beekeeper|a dentist|a vet|an actor|a dancer""".replace("\n", "").split("|")
WORDS = """apple river stone cloud window pepper candle garden silver rocket anchor basket copper dragon engine falcon guitar hammer island
jungle kettle lemon magnet needle ocean pencil quartz ribbon saddle timber umbrella velvet walnut yellow zebra banana marble thunder
whisper lantern meadow puzzle harbor compass feather blanket mirror carpet bottle ladder button saffron tulip pebble comet nebula
sparrow cactus biscuit pickle tornado waffle igloo mango yonder kiwi oxbow plum gravel""".split()
PETS = "Rex Bello Luna Milo Minka Felix Bruno Rocky Daisy Coco Simba Nala Oscar Bella Charlie Buddy Max Tiger Whiskers Socks Fluffy Snowball Pepper Ginger Shadow Lucky Biscuit Waffles Ziggy Mochi".split()
PROJECTS = "Atlas Orion Phoenix Nimbus Kestrel Beacon Harbor Lantern Quicksilver Meridian Sundial Borealis Cobalt Juniper Monsoon Pegasus Saturn Tundra Zephyr Bluebird".split()


POOLS = {k: [w for line in lines for w in line.split("|")] for k, lines in sections("recall_values.txt").items()}
POOLS["job"] = [("an " if (w[0] in "aeioAEIOH" or w.startswith("uph")) and not w.startswith(("one", "historian", "hotel", "house", "horse", "hair")) else "a ") + w for w in POOLS["job"]]
for _kind, _base in (("name", NAMES), ("colour", COLOURS), ("city", CITIES), ("pet", PETS), ("project", PROJECTS),
                     ("food", FOODS), ("animal", ANIMALS), ("word", WORDS), ("job", JOBS)):
    POOLS[_kind] = list(dict.fromkeys(POOLS[_kind] + _base))
MADE_UP = 0.35


def made_up(rng, low=2, high=3):
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(rng.randint(low - 1, high - 1))) \
        + rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS)


def invented(rng, pool, low=1, high=3):
    if rng.random() < MADE_UP:
        word = made_up(rng, low, high)
        return word[0].upper() + word[1:]
    return rng.choice(POOLS[pool])


def value(kind, rng):
    if kind == "name":
        first = invented(rng, "name")
        if rng.random() < 0.08:
            first += " " + invented(rng, "name")
        return first.lower() if rng.random() < 0.12 else first
    if kind == "number":
        digits = rng.choice((1, 2, 2, 3, 3, 4, 4, 5, 6))
        return str(rng.randrange(10 ** (digits - 1) if digits > 1 else 0, 10 ** digits))
    if kind == "colour":
        if rng.random() < 0.4:
            return rng.choice(POOLS["colour"])
        base = rng.choice(COLOURS) if rng.random() < 0.45 else made_up(rng)
        return base if rng.random() < 0.6 else rng.choice(SHADES) + " " + base
    if kind == "city":
        city = invented(rng, "city", 2)
        if rng.random() < 0.07 and " " not in city:
            city = rng.choice(CITY_FIRST) + " " + city
        return city.lower() if rng.random() < 0.12 else city
    if kind in ("dog", "cat"):
        pet = invented(rng, "pet")
        return pet.lower() if rng.random() < 0.12 else pet
    if kind == "project":
        name = invented(rng, "project", 2)
        roll = rng.random()
        if roll < 0.12:
            return name + " " + str(rng.randint(1, 99))
        if roll < 0.24:
            return name.lower()
        if roll < 0.30:
            return name.lower().replace(" ", "-") + "-" + rng.choice(WORDS)
        return rng.choice(("Blue", "Red", "Open", "Project", "Big", "Little", "Deep")) + " " + name if roll < 0.38 else name
    if kind == "age":
        return str(rng.randint(5, 99))
    if kind == "food":
        roll = rng.random()
        if roll < 0.6:
            food = rng.choice(POOLS["food"])
            return food.lower() if rng.random() < 0.1 else food[0].upper() + food[1:] if rng.random() < 0.04 else food
        return rng.choice(FOOD_FIRST) + " " + rng.choice(FOOD_LAST) if roll < 0.7 else made_up(rng)
    if kind == "animal":
        return rng.choice(POOLS["animal"]) if rng.random() < 0.7 else made_up(rng)
    if kind == "word":
        word = rng.choice(POOLS["word"]) if rng.random() < 0.62 else made_up(rng)
        if rng.random() < 0.12:
            word += rng.choice(("-", " ", "")) + (rng.choice(POOLS["word"]) if rng.random() < 0.5 else str(rng.randint(1, 999)))
        return word.upper() if rng.random() < 0.06 else word[0].upper() + word[1:] if rng.random() < 0.12 else word
    if kind == "job":
        if rng.random() < 0.72:
            return rng.choice(POOLS["job"])
        word = made_up(rng)
        return ("an " if word[0] in "aeiou" else "a ") + word + rng.choice(("er", "ist", " maker", " driver", " designer"))
    raise ValueError(kind)


TELL = {
    "name": """My name is {v}.|I'm {v}.|I am {v}.|Call me {v}.|You can call me {v}.|My name's {v}.|Hi, I'm {v}.|Hello, my name is {v}.|
People call me {v}.|I'm called {v}.|This is {v}.|my name is {v}|i am {v}|Hey, {v} here.|Name: {v}|Just so you know, my name is {v}.|
Please remember that my name is {v}.|Remember my name: {v}.|My friends call me {v}.|{v} is my name.|The name is {v}.|I go by {v}.|
Please call me {v}.|Let me introduce myself: I'm {v}.|Nice to meet you, I'm {v}.|Remember: I'm {v}.|I'm {v}, nice to meet you.|Hi! My name is {v}.
|I'd like you to call me {v}|Note that I am called {v}.|Hi there, my name's {v}!|Keep in mind that my name is {v}.""",
    "number": """My favourite number is {v}.|My lucky number is {v}.|My number is {v}.|Remember the number {v}.|The number is {v}.|
Please remember this number: {v}.|Keep the number {v} in mind.|number: {v}|my favorite number is {v}|Remember {v}.|Here is a number: {v}.|
I like the number {v}.|The secret number is {v}.|{v} is my lucky number.|{v} is my favourite number.|Can you remember the number {v}?|
Please note the number {v}.|My favorite number is {v}|I want you to remember {v}.|Store the number {v}.|Memorise {v}.|My magic number is {v}.|
Remember this number for me: {v}|The number I picked is {v}.|I am thinking of the number {v}.|Note down {v}.|My room number is {v}.|My ticket number is {v}.""",
    "colour": """My favourite colour is {v}.|My favorite color is {v}.|I like {v} best of all colours.|My colour is {v}.|The colour I like best is {v}.|
I love the colour {v}.|favourite colour: {v}|my favourite colour is {v}|{v} is my favourite colour.|{v} is my favorite color.|Remember that my favourite colour is {v}.|
The colour is {v}.|I like the color {v}.|Of all the colours I prefer {v}.|Please remember the colour {v}.|My favorite color's {v}.|Remember the color {v}.|Note that my colour is {v}.""",
    "city": """I live in {v}.|I'm from {v}.|My city is {v}.|My home town is {v}.|I come from {v}.|i live in {v}|My home is in {v}.|I am based in {v}.|
The city I live in is {v}.|I'm living in {v}.|Remember that I live in {v}.|My hometown is {v}.|city: {v}|I moved to {v}.|{v} is where I live.|I have a flat in {v}.|
I'm in {v}.|{v} is my home town.|My house is in {v}.|I reside in {v}.|Just so you know, I live in {v}.|I've moved to {v}""",
    "dog": """My dog is called {v}.|I have a dog called {v}.|My dog's name is {v}.|I have a dog named {v}.|The name of my dog is {v}.|my dog is called {v}|
My dog is {v}.|We have a dog, {v}.|Our dog is called {v}.|{v} is my dog.|I own a dog named {v}.|My puppy is called {v}.|Remember that my dog is called {v}.|
My pet is a dog called {v}.|dog: {v}|My dog is named {v}.|I got a dog, his name is {v}.|{v} is the name of my dog.""",
    "cat": """My cat is called {v}.|I have a cat called {v}.|My cat's name is {v}.|I have a cat named {v}.|The name of my cat is {v}.|my cat is called {v}|
My cat is {v}.|We have a cat, {v}.|Our cat is called {v}.|{v} is my cat.|I own a cat named {v}.|My kitten is called {v}.|Remember that my cat is called {v}.|
My pet is a cat called {v}.|cat: {v}|My cat is named {v}.|I got a cat, her name is {v}.|{v} is the name of my cat.""",
    "project": """My project is called {v}.|I'm working on a project called {v}.|The name of my project is {v}.|My project's name is {v}.|I work on {v}.|
The project is called {v}.|project: {v}|I have a project named {v}.|We call our project {v}.|I'm building {v}.|Our project is {v}.|my project is {v}|
Remember that my project is called {v}.|The project I work on is {v}.|{v} is the name of my project.|My project is named {v}.|I started a project called {v}.|
I am developing something called {v}.|My repository is called {v}.|The code name of my project is {v}.|My app is called {v}.|I'm working on {v}.""",
    "age": """I am {v} years old.|I'm {v} years old.|My age is {v}.|I am {v}.|I'm {v}.|age: {v}|I turned {v} last week.|i am {v} years old|
I just turned {v}.|I'm {v} years of age.|Remember that I am {v} years old.|I'm now {v} years old.|I have just become {v} years old.""",
    "food": """My favourite food is {v}.|My favorite food is {v}.|I like {v} most of all.|I love to eat {v}.|The food I like best is {v}.|favourite food: {v}|
my favourite food is {v}|{v} is my favourite food.|My favourite dish is {v}.|Most of all I like to eat {v}.|I love {v}.|Remember that my favourite food is {v}.|
My favorite dish is {v}.|I could eat {v} every day.|My favourite meal is {v}.|I really like eating {v}.""",
    "animal": """My favourite animal is the {v}.|My favorite animal is the {v}.|The animal I like best is the {v}.|favourite animal: {v}|
my favourite animal is the {v}|The {v} is my favourite animal.|Of all animals I like the {v} most.|My favourite animal is a {v}.|My animal is the {v}.|
Remember that my favourite animal is the {v}.|The {v} is the animal I love most.|My favorite animal is a {v}.""",
    "word": """The code word is {v}.|The secret word is {v}.|The magic word is {v}.|Remember the word {v}.|My code word is {v}.|The password is {v}.|
Please remember this word: {v}.|The word is {v}.|code word: {v}|Keep the word {v} in mind.|Here is a word: {v}.|the secret word is {v}|Our passphrase is {v}.|
Remember this word: {v}|Can you remember the word {v}?|Please note the word {v}.|The codeword is {v}.|Memorise the word {v}.|My secret word is {v}.|{v} is the code word.|{v} is the secret word.""",
    "job": """I work as {v}.|I am {v}.|I'm {v}.|My job is {v}.|I'm {v} by trade.|i work as {v}|My profession is {v}.|By profession I'm {v}.|I earn my living as {v}.|
I have a job as {v}.|Remember that I work as {v}.|I'm employed as {v}.|job: {v}|For a living I am {v}.|I'm working as {v}.""",
}
ASK = {
    "name": """What's my name?|What is my name?|Who am I?|Do you remember my name?|Do you know my name?|Can you tell me my name?|What am I called?|
what is my name|whats my name|Tell me my name.|my name?|What did I say my name was?|Say my name.|Which name did I tell you?|Do you still know my name?|
How am I called?|What was my name again?|Remember my name?|Please tell me what my name is.|Who are you talking to?|what's my name again?|Do you recall my name?|
Could you repeat my name?|By what name did I introduce myself?|Have you forgotten my name?|And my name is?|I forgot my name, what is it?|And what's my name?|So what was my name?|Can you recall what I'm called?|Do you know who I am?""",
    "number": """What's my number?|What is my favourite number?|What is my lucky number?|Which number did I tell you?|What was the number?|
Do you remember the number?|Tell me the number.|what is my number|What number did I give you?|my number?|What is the number?|the number?|
Which number should you remember?|What is my favorite number?|Do you remember my number?|What number did I ask you to remember?|Repeat the number.|
Can you tell me the number?|What was my number again?|Which number did I mention?|What's the number I told you?|Do you still know the number?|Recall the number.|
What number did I say?|And the number was?|What's my lucky number?|what was my favourite number|Do you recall the number I gave you?|Which number did I pick?|What is my favorite number again?|What was the secret number?|What's my favourite number?""",
    "colour": """What's my favourite colour?|What is my favorite color?|Which colour do I like?|What colour did I tell you?|Do you remember my favourite colour?|
what is my favourite colour|my colour?|What is my colour?|Tell me my favourite colour.|Which colour did I mention?|What was the colour?|What was my favorite color again?|
Which colour do I like best?|Can you tell me my favourite colour?|Do you know my favorite color?|What color do I like?|what's my color|Which color is my favorite?|Do you recall my favourite colour?|What colour do I prefer?|What's my favorite color?""",
    "city": """Where do I live?|Which city do I live in?|What city am I from?|Where am I from?|Do you remember where I live?|where do i live|What is my city?|
In which city do I live?|Tell me where I live.|What's my home town?|my city?|Where did I say I live?|Do you know where I live?|Which city did I mention?|What town am I in?|
Where is my home?|Can you tell me where I live?|What was my city again?|Where do I come from?|Where am I based?|What's my hometown?|Do you recall which city I live in?|What city do I live in?""",
    "dog": """What's my dog's name?|What is my dog called?|Do you remember my dog's name?|What is the name of my dog?|what is my dog called|my dog's name?|
Tell me the name of my dog.|How is my dog called?|Do you know my dog's name?|What did I say my dog is called?|What was my dog's name again?|Who is my dog?|Can you tell me my dog's name?|
Which name has my dog?|Do you recall what my dog is called?|What do I call my dog?|What's the name of my dog?|What's my dog called?|What is my dog's name?|Do I have a dog?""",
    "cat": """What's my cat's name?|What is my cat called?|Do you remember my cat's name?|What is the name of my cat?|what is my cat called|my cat's name?|
Tell me the name of my cat.|How is my cat called?|Do you know my cat's name?|What did I say my cat is called?|What was my cat's name again?|Who is my cat?|Can you tell me my cat's name?|
Which name has my cat?|Do you recall what my cat is called?|What do I call my cat?|What's the name of my cat?|What's my cat called?|What is my cat's name?|Do I have a cat?""",
    "project": """What's my project called?|What is the name of my project?|What is my project?|What am I working on?|Do you remember my project?|
what is my project called|my project?|Tell me the name of my project.|Which project do I work on?|What did I say my project is called?|What was my project again?|What project am I building?|
Do you know the name of my project?|Can you tell me my project's name?|What's the project's name?|What's my project's name?|How is my project called?|Do you recall my project's name?|What is the project I am working on?|What's the name of my project?""",
    "age": """How old am I?|What is my age?|Do you remember my age?|how old am i|my age?|Tell me my age.|What age am I?|Do you know how old I am?|What did I say my age was?|
Can you tell me how old I am?|What was my age again?|What's my age?|How many years old am I?|Do you remember how old I am?""",
    "food": """What's my favourite food?|What is my favorite food?|What do I like to eat?|Which food do I like?|Do you remember my favourite food?|what is my favourite food|
my favourite food?|Tell me my favourite food.|What dish do I like best?|What food did I mention?|What was my favorite food again?|Which dish is my favourite?|Do you know what I like to eat?|
What's my favorite food?|What do I love to eat?|What is my favourite dish?|What's my favourite meal?|Can you tell me my favourite food?""",
    "animal": """What's my favourite animal?|What is my favorite animal?|Which animal do I like?|Do you remember my favourite animal?|what is my favourite animal|
my favourite animal?|Tell me my favourite animal.|Which animal did I mention?|What animal do I like best?|What was my favorite animal again?|Do you know my favourite animal?|What's my favorite animal?|
Which animal do I love most?|Can you tell me my favourite animal?""",
    "word": """What's the code word?|What is the secret word?|What was the word?|Which word did I tell you?|Do you remember the word?|what is the code word|the word?|
Tell me the word.|What is the magic word?|What word did I give you?|What's the password?|What is my code word?|Repeat the word.|Do you know the secret word?|Which word should you remember?|
What was the code word again?|Can you tell me the secret word?|What is the passphrase?|Recall the word.|What word did I ask you to remember?|Do you still know the word?|What's the secret word?|What's the magic word?|What was the password?|Say the word.|Do you recall the code word?""",
    "job": """What's my job?|What is my job?|What do I work as?|What do I do for a living?|Do you remember my job?|what is my job|my job?|Tell me my job.|What is my profession?|
What did I say I work as?|Do you know what I do?|What was my job again?|Which profession do I have?|What's my profession?|What's my occupation?|Can you tell me my job?|Do you recall what my job is?""",
}
CHANGE = {
    "name": "Actually, my name is {v}.|No, my name is {v}.|Sorry, I meant {v}, that's my name.|Please call me {v} from now on.|I changed my name to {v}.|My name is {v} now.|Correction: I'm {v}.",
    "number": "Actually, my number is {v}.|No, the number is {v}.|The number has changed to {v}.|My new number is {v}.|Change the number to {v}.|Forget that, the number is {v} now.|Correction: the number is {v}.",
    "colour": "Actually, my favourite colour is {v}.|Now I like {v} better than any other colour.|My favourite colour is {v} now.|My favorite color changed to {v}.|No, my colour is {v}.",
    "city": "Actually, I live in {v}.|I have moved to {v}.|I live in {v} now.|No, I live in {v}.|We moved, now I live in {v}.",
    "dog": "Actually, my dog is called {v}.|No, my dog's name is {v}.|I have a new dog called {v}.|My dog is called {v} now.",
    "cat": "Actually, my cat is called {v}.|No, my cat's name is {v}.|I have a new cat called {v}.|My cat is called {v} now.",
    "project": "Actually, my project is called {v}.|The project is called {v} now.|We renamed the project to {v}.|My new project is called {v}.|I renamed my project: {v}.",
    "age": "Actually, I am {v} years old.|I am {v} years old now.|Sorry, I'm {v} years old.|No, I am {v} years old.",
    "food": "Actually, my favourite food is {v}.|Now my favourite food is {v}.|My favorite food is {v} now.|No, my favourite food is {v}.",
    "animal": "Actually, my favourite animal is the {v}.|Now my favourite animal is the {v}.|My favorite animal is the {v} now.",
    "word": "Actually, the word is {v}.|The new word is {v}.|The code word has changed to {v}.|No, the word is {v}.|Change the word to {v}.",
    "job": "Actually, I work as {v}.|Now I work as {v}.|I have a new job as {v}.|I changed my job, I work as {v} now.",
}
ACKS = ["Good to know.", "I'll remember that.", "Noted.", "All right, I'll keep that in mind.", "Thank you, I'll remember."]
ACKS_WITH = {
    "name": ["Nice to meet you, {v}!", "Hello, {v}!"], "number": ["{v}, noted."], "colour": ["A good colour, {v}."],
    "city": ["Greetings to {v}!"], "dog": ["Say hello to {v}!"], "cat": ["Say hello to {v}!"],
    "project": ["Good luck with {v}!"], "age": ["{v}, noted."], "food": ["{v} sounds good."],
    "animal": ["The {v}, a good choice."], "word": ["{v}, noted."], "job": ["I see, {v}."],
}
TELL = {k: [s.strip() for s in v.split("|") if s.strip()] for k, v in TELL.items()}
ASK = {k: [s.strip() for s in v.split("|") if s.strip()] for k, v in ASK.items()}
CHANGE = {k: v.split("|") for k, v in CHANGE.items()}
for _kind, _lines in sections("recall_tell.txt").items():
    TELL[_kind] += _lines
for _kind, _lines in sections("recall_ask.txt").items():
    for _one in (("dog", "cat") if _kind == "pet" else (_kind,)):
        ASK[_one] += [s.replace("PET", _one) for s in _lines]
TELL, ASK = ({k: list(dict.fromkeys(v)) for k, v in t.items()} for t in (TELL, ASK))
TELL_BEFORE = ["By the way, ", "btw ", "FYI: ", "fyi, ", "Just so you know: ", "Before we start: ", "Note to self: ", "One thing first: ", "For later: ",
               "Please remember: ", "Well, ", "So, ", "Oh, and ", "Hi! ", "Hello. ", "Something about me: ", "I should mention: ", "Also, ", "For the record, ", "Ok, "]
TELL_AFTER = [" Please remember that.", " Keep that in mind.", " Just so you know.", " Don't forget it.", " I'll ask you later.", " Can you remember that?",
              " Now you know.", " That's all for now.", " Got it?", " It's important to me.", " Thanks!", " OK?", " Anyway.", " I thought you should know."]
JOIN = [" and ", " ", ", ", ", and ", ". "]


def pick(table, kind, rng):
    """Sentences that begin with the value count double: there it is spelt with other tokens, which is harder."""
    lines = table[kind]
    return rng.choices(lines, [2.5 if s.startswith("{v}") else 1 for s in lines])[0]


def frame(text, rng):
    """Words before or after a statement, or the statement in lower case; {v} is still to be filled in."""
    roll = rng.random()
    if roll < 0.14:
        before = rng.choice(TELL_BEFORE)
        keep = text.startswith(("{v}", "I ", "I'")) or before[-2] in "!."
        text = before + (text if keep else text[0].lower() + text[1:])
    elif roll < 0.26:
        text = (text if text[-1] in ".!?" else text + ".") + rng.choice(TELL_AFTER)
    if rng.random() < 0.1:
        text = text.lower()
    return text


def loosen(text, rng, keep=None):
    """Small changes of case and punctuation at the ends; the value stays as it is."""
    if text[-1] == "." and rng.random() < 0.3:
        text = text[:-1] + ("!" if rng.random() < 0.2 else "")
    if text[-1:] == "?" and rng.random() < 0.2:
        text = text[:-1]
    if rng.random() < 0.1 and not text.startswith(("I", keep or "I")) and " " in text:
        text = text[0].lower() + text[1:]
    return text


ASK_BEFORE = ["", "", "", "", "", "", "And ", "So, ", "Ok, ", "Now, ", "Hey, ", "By the way, ", "Quick check: ", "Please tell me: ", "One question: ", "Tell me, "]


class Recall:
    def __init__(self, facts):
        self.kinds = [k["id"] for k in facts["kinds"]]
        self.answer = {k["id"]: k["answer"] for k in facts["kinds"]}
        self.unknown = {k["id"]: k["unknown"] for k in facts["kinds"]}
        self.weights = [{"name": 4, "number": 4, "colour": 2, "city": 2}.get(k, 1) for k in self.kinds]

    def _kind(self, rng):
        return rng.choices(self.kinds, self.weights)[0]

    def tell(self, rng, known, kind=None, others=True):
        """One turn that states a fact, sometimes two; updates `known`."""
        kind = kind or self._kind(rng)
        v = value(kind, rng)
        table = CHANGE if kind in known and rng.random() < 0.7 else TELL
        text = frame(pick(table, kind, rng), rng).format(v=v)
        known[kind] = v
        if others and rng.random() < 0.12:
            second = self._kind(rng)
            if second != kind:
                w = value(second, rng)
                more = pick(TELL, second, rng).format(v=w)
                if more.split()[0] in ("My", "The", "Our", "We", "Call", "Please", "Remember"):
                    more = more[0].lower() + more[1:]
                text = text.rstrip(".!") + rng.choice(JOIN) + more
                known[second] = w
                return [("user", loosen(text, rng, v)), ("assistant", rng.choice(ACKS))]
        reply = rng.choice(ACKS_WITH[kind]).format(v=v) if rng.random() < 0.45 else rng.choice(ACKS)
        return [("user", loosen(text, rng, v)), ("assistant", reply[0].upper() + reply[1:] if kind == "food" else reply)]

    def ask(self, rng, known, kind):
        text = pick(ASK, kind, rng)
        before = rng.choice(ASK_BEFORE)
        if before and not text.startswith(("I ", "I'")):
            text = before + text[0].lower() + text[1:]
        reply = self.answer[kind].format(v=known[kind]) if kind in known else self.unknown[kind]
        return [("user", loosen(text, rng)), ("assistant", reply)]

    def short(self, rng):
        """Facts and questions with nothing in between: many copies in few tokens."""
        known, turns = {}, []
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
            turns += self.tell(rng, known)
            while rng.random() < 0.55:
                kind = rng.choice(list(known)) if rng.random() < 0.9 else self._kind(rng)
                turns += self.ask(rng, known, kind)
        return turns

    def conversation(self, rng, other, long):
        """`other(rng)` makes an ordinary turn. Long ones have up to 25 turns in between."""
        known, turns = {}, []
        if rng.random() < 0.3:
            turns += other(rng)
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
            if rng.random() < 0.06:
                turns += self.ask(rng, known, self._kind(rng))
            turns += self.tell(rng, known)
            for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
                turns += other(rng)
        for _ in range(rng.randint(8, 25) if long else rng.choice((0, 0, 1, 1, 2, 2, 3))):
            turns += other(rng)
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            kind = rng.choice(list(known)) if rng.random() < 0.82 else self._kind(rng)
            turns += self.ask(rng, known, kind)
            if rng.random() < 0.2:
                turns += self.tell(rng, known)
            if rng.random() < 0.15:
                turns += other(rng)
        if rng.random() < 0.04:
            turns = self.ask(rng, {}, self._kind(rng)) + turns
        return turns
