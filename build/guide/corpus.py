"""Makes training conversations: questions from grammar lines, answers from facts.json.

A conversation is a list of (role, text). `Corpus.sample(rng)` gives a new one
each time; the same seed gives the same conversations.
"""

import json
import os
import re

import recall
import systems

HERE = os.path.dirname(os.path.abspath(__file__))
INNER = re.compile(r"\[([^\[\]{}]*)\]")
SLOT = re.compile(r"\{(\w+)\}")

# Wrappings that leave the meaning alone. The empty ones keep plain questions frequent.
BEFORE = ["please ", "hey, ", "hi, ", "hello, ", "quick question: ", "ok, ", "so, ", "and ", "also, ", "now ",
          "um, ", "sorry, ", "excuse me, ", "one more thing: ", "next question: ", "another thing, ", "thanks. ", "well, ",
          "I wonder, ", "just asking: ", "question: ", "hey guide, ", "dear guide, ", "Samovar, ", "hm, ", "alright, ",
          "I have a question: ", "guide: ", "hey samovar, ", "but ", "then ", "tell me, ", "Hi! ", "Hello. ", "Hey! ",
          "roughly ", "suppose ", "say, ", "tell me ", "help: ", "problem: ", "explain: ", "what about: ", "what if ", "Error: ",
          "I think ", "I believe ", "It seems ", "I'd like to know: ", "steps for: ", "what does this mean: ", "about ", "regarding "]
AFTER = [" please", ", please", " thanks", ", thanks", " then", " exactly", " by the way", " again", " here", " now", " actually",
         " on my machine", " on my laptop", " on my mac", " for me", " I wonder", ", any idea", ", do you know", " right now", " quickly",
         ", can you tell me", ", or not", " in samovar", " with samovar", ", briefly", " in short", " today", " at all", " in detail",
         ", hmm", ", why", ", what now", ", says my client", ", how", ", meaning", ", how come", ", any ideas", ", help", ", right",
         ", what's that", ", it says", ", how does that work", ". How", ". Why", ". What can I do", ". Help", ". Is that possible",
         ", is that possible", ". What do I do", ", what do I do", ". Can you help", " or so", ". Any advice", ", tell me", ", explain"]
CONTEXT = ["I just installed this. ", "I'm new here. ", "I'm on a Mac. ", "I use Linux. ", "I have a MacBook. ", "I'm a bit lost. ",
           "A friend told me about this. ", "Something I don't understand: ", "I've been reading the docs. ", "I'm setting things up. ",
           "I am not a programmer. ", "My boss wants to know: ", "I have another question. ", "That is not what I meant. ", "Good to know. ",
           "I work on a laptop. ", "I'm trying this out. ", "One more. ", "Let me ask something else. ", "I can't find it anywhere. "]
POLITE = ["can you tell me {q}", "could you tell me {q}", "do you know {q}", "I'd like to know {q}", "please tell me {q}",
          "I want to know {q}", "I was wondering {q}", "can you say {q}", "would you mind telling me {q}", "any idea {q}"]


def split_choices(text):
    return [c.strip() for c in text.split("|")]


class Grammar:
    def __init__(self, folder):
        self.slots, self.lines = {}, {}
        for name in sorted(os.listdir(folder)):
            if name == "slots.txt":
                self._read_slots(os.path.join(folder, name))
            elif name.endswith(".txt"):
                self._read_questions(os.path.join(folder, name))

    def _read_slots(self, path):
        for line in open(path, encoding="utf-8"):
            if "=" in line and not line.startswith("#"):
                name, choices = line.split("=", 1)
                self.slots[name.strip()] = split_choices(choices)

    def _read_questions(self, path):
        intent = None
        for line in open(path, encoding="utf-8"):
            line = line.rstrip("\n").strip()
            if line.startswith("## "):
                intent = line[3:].strip()
                self.lines.setdefault(intent, [])
            elif line and not line.startswith("//"):
                self.lines[intent].append(line)

    def expand(self, line, rng):
        """Chooses alternatives, innermost first, until no bracket or slot is left."""
        for _ in range(40):
            hit = SLOT.search(line)
            if hit and hit.group(1) in self.slots:
                line = line[:hit.start()] + rng.choice(self.slots[hit.group(1)]) + line[hit.end():]
                continue
            hit = INNER.search(line)
            if not hit or "|" not in hit.group(1):
                break
            line = line[:hit.start()] + rng.choice(hit.group(1).split("|")).strip() + line[hit.end():]
        line = re.sub(r"\s+", " ", line).strip()
        return line.replace(" ,", ",")


def typo(word, rng):
    if len(word) < 4 or not word.isalpha():
        return word
    i = rng.randrange(1, len(word) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        return word[:i] + word[i + 1:]
    if kind == 1:
        return word[:i] + word[i + 1] + word[i] + word[i + 2:]
    if kind == 2:
        return word[:i] + word[i] + word[i:]
    return word[:i] + rng.choice("abcdefghijklmnopqrstuvwxyz") + word[i + 1:]


def read_thesaurus(path):
    """word → the other words and phrases of its groups."""
    others = {}
    for line in open(path, encoding="utf-8"):
        group = [w.strip() for w in line.split(",") if w.strip()]
        for word in group:
            if " " not in word:
                others.setdefault(word, []).extend(w for w in group if w != word)
    return others


THESAURUS = read_thesaurus(os.path.join(HERE, "questions", "thesaurus.lst"))
SMALL = set("""a an the do does did i is are am to of in on for with it its my me you your can could would should please be this that
there some any and or at by from will we have has so""".split())


def reword(words, rng, share):
    """Exchanges some words for others of the same meaning."""
    return [rng.choice(THESAURUS[w]) if w in THESAURUS and rng.random() < share else w for w in words]


def dress(text, rng):
    """Adds what people add: greetings, politeness, punctuation, case, typos, lost words."""
    words = text.split(" ")
    if rng.random() < 0.5:
        words = " ".join(reword(words, rng, 0.35)).split(" ")
    roll = rng.random()
    if roll < 0.12:  # only the words that matter, sometimes in another order
        matter = [w for w in words if w.lower() not in SMALL]
        if len(matter) > 1:
            words = matter
            if roll < 0.05:
                rng.shuffle(words)
    if len(words) > 4 and rng.random() < 0.15:
        for _ in range(1 if len(words) < 8 or rng.random() < 0.6 else 2):
            words.pop(rng.randrange(len(words)))
    if rng.random() < 0.10:
        i = rng.randrange(len(words))
        words[i] = typo(words[i], rng)
    text = " ".join(words)
    asks = re.match(r"(what|which|where|who|how|why|when)\b", text, re.I)
    if asks and rng.random() < 0.06:
        text = rng.choice(POLITE).format(q=text)
    roll = rng.random()
    if roll < 0.13:
        text = rng.choice(BEFORE) + text
    elif roll < 0.17:
        text = rng.choice(CONTEXT) + text[0].upper() + text[1:]
    if len(words) > 1 and rng.random() < 0.14:
        text += rng.choice(AFTER)
    roll = rng.random()
    if roll < 0.45:
        text = text[0].upper() + text[1:]
    elif roll < 0.62:
        text = text.lower()
    elif roll < 0.63:
        text = text.upper()
    if text[-1].isalnum() or text[-1] in ")`\"'":
        roll = rng.random()
        text += ("?" if asks or roll < 0.25 else "." if roll < 0.5 else "!" if roll < 0.54 else "") if roll < 0.62 else ""
    return text


# How often an intent is drawn: refusal has the widest range of questions.
WEIGHTS = {"refuse": 14.0, "hello": 1.5, "connect_claude": 2.0, "connect_codex": 1.5, "what_is_samovar": 1.5,
           "who_are_you": 1.5, "what_can_you_do": 1.5, "can_remember": 1.5}


class Corpus:
    def __init__(self, folder=HERE):
        with open(os.path.join(folder, "facts.json"), encoding="utf-8") as f:
            facts = json.load(f)
        self.answers = {i["id"]: i["answer"] for i in facts["intents"]}
        self.grammar = Grammar(os.path.join(folder, "questions"))
        missing = set(self.answers) ^ set(self.grammar.lines)
        if missing:
            raise SystemExit("questions and facts differ: %s" % sorted(missing))
        self.recall = recall.Recall(facts["recall"])
        self.ids = list(self.answers)
        # Many lines, more draws, so that each line is seen about as often.
        self.weights = [WEIGHTS.get(i, 1.0) for i in self.ids]

    def question(self, rng, intent=None):
        intent = intent or rng.choices(self.ids, self.weights)[0]
        text = self.grammar.expand(rng.choice(self.grammar.lines[intent]), rng)
        return dress(text, rng), intent

    def turn(self, rng):
        text, intent = self.question(rng)
        return [("user", text), ("assistant", self.answers[intent])]

    def sample(self, rng):
        """One conversation: questions only, or with facts to recall; seldom a long one."""
        roll = rng.random()
        if roll < 0.44:
            turns = []
            for _ in range(rng.choice((1, 1, 1, 1, 2))):
                turns += self.turn(rng)
        elif roll < 0.70:
            turns = self.recall.short(rng)
        else:
            turns = self.recall.conversation(rng, self.turn, long=roll > 0.99)
        if rng.random() < 0.25:
            turns = [("system", systems.prompt(rng))] + turns
        return turns
