"""The questions of bench/speculation: free chat with a long persona in front, and tasks whose answers repeat the question."""
import pathlib

HERE = pathlib.Path(__file__).parent

CHAT_EN = [
    "Good evening. The soup was excellent. Is there any bread left?",
    "What will the weather be like tomorrow, do you think?",
    "How did you come to live up here?",
    "My knee hurts a little. It is nothing.",
    "Do you remember my father?",
    "Tell me about the tiles on the stove.",
    "What do you do here in winter when nobody comes?",
    "I have been thinking about leaving my job.",
    "How do I get to the pass from here, and how long does it take?",
    "What is the halny really like, when it blows at night?",
    "Who was the thief in the visitors' book?",
    "How do you bake your bread?",
    "I cannot sleep lately. I lie there and count my mistakes.",
    "Is it true that dogs know when snow is coming?",
    "What are you reading now?",
    "Would it be stupid to climb the north face alone in October?",
    "Did you ever want to go down and live in a town?",
    "Ewa is getting married in spring. I heard it from a friend.",
    "Teach me how to find north at night.",
    "Why is the dog called Bury if he is white?",
    "What was the worst night you had here?",
    "I should go to bed. What time is breakfast?",
]

CHAT_PL = [
    "Dobry wieczór. Zupa była znakomita. Zostało jeszcze trochę chleba?",
    "Jaka będzie jutro pogoda, jak pani myśli?",
    "Jak to się stało, że pani tu mieszka?",
    "Trochę boli mnie kolano. To nic takiego.",
    "Pamięta pani mojego ojca?",
    "Niech pani opowie o kaflach na piecu.",
    "Co się tu robi zimą, kiedy nikt nie przychodzi?",
    "Myślę o tym, żeby odejść z pracy.",
    "Jak stąd dojść na przełęcz i ile to zajmuje?",
    "Jaki jest halny naprawdę, kiedy wieje w nocy?",
    "Kim był ten złodziej z księgi gości?",
    "Jak pani piecze chleb?",
    "Ostatnio nie mogę spać. Leżę i liczę swoje błędy.",
    "Czy to prawda, że psy wiedzą, kiedy spadnie śnieg?",
    "Co pani teraz czyta?",
    "Czy to głupie iść samemu na północną ścianę w październiku?",
    "Nie chciała pani nigdy zejść na dół i zamieszkać w mieście?",
    "Ewa wychodzi wiosną za mąż. Dowiedziałem się od znajomego.",
    "Niech mnie pani nauczy, jak w nocy znaleźć północ.",
    "Dlaczego pies nazywa się Bury, skoro jest biały?",
    "Jaka była najgorsza noc, którą pani tu przeżyła?",
    "Powinienem iść spać. O której jest śniadanie?",
]

CODE = '''class Shelf:
    """Books on a shelf, found by title."""

    def __init__(self, width_cm):
        self.width_cm = width_cm
        self.books = {}

    def add(self, title, thickness_cm):
        if title in self.books:
            raise ValueError(f"{title} is on the shelf already")
        if self.free_cm() < thickness_cm:
            raise ValueError(f"no room for {title}: {self.free_cm()} cm are free")
        self.books[title] = thickness_cm

    def remove(self, title):
        if title not in self.books:
            raise KeyError(f"{title} is not on the shelf")
        return self.books.pop(title)

    def free_cm(self):
        return self.width_cm - sum(self.books.values())
'''

ARTICLE = """The wooden bridge at Sromowce was built in 1934 by four brothers from the village, who were paid in flour. It was 61 metres long and
carried carts of up to two tonnes. In the flood of July 1970 the middle span was torn away, and for eleven years people crossed the river by
ferry. The new bridge, of larch and steel, was opened in September 1981 by the oldest of the four brothers, who was then ninety years old and
crossed it alone, in the rain, before anybody else was allowed to. Today it carries cyclists and walkers only; about two hundred thousand of
them cross it every year, most of them on their way to the gorge."""

REPEATING = [
    f"Rename the class to BookShelf and the method free_cm to room_left_cm. Give the whole code back.\n\n```python\n{CODE}```",
    f"Add type hints to every method. Give the whole code back.\n\n```python\n{CODE}```",
    f"Replace centimetres by millimetres in all names. Give the whole code back.\n\n```python\n{CODE}```",
    f"Correct spelling and punctuation of this text, change nothing else:\n\n{ARTICLE.replace('people crossed', 'peopel crosed').replace(' alone,', ' alone')}",
    f"Copy the sentences of this text that contain a year, word for word:\n\n{ARTICLE}",
    f"Write this text again with 'bridge' replaced by 'footbridge':\n\n{ARTICLE}",
]

FREE = [
    "Write the first page of a novel that begins in a railway station.",
    "Describe a colour to somebody who has never seen it.",
    "Write a letter from an old sailor to his granddaughter.",
    "What would a city look like if nobody owned a car?",
    "Tell a fairy tale about a fox who learned to read.",
    "Explain why the sky is dark at night.",
    "Write a dialogue between a clockmaker and a customer who is always late.",
    "What makes a good teacher?",
    "Describe an island that does not exist.",
    "Write a short speech for the opening of a village library.",
    "Invent three proverbs and explain them.",
    "Describe a storm at sea from the point of view of a gull.",
]


def chat(persona, questions):
    system = (HERE / persona).read_text(encoding="utf-8").strip()
    return [[{"role": "system", "content": system}, {"role": "user", "content": q}] for q in questions]


def alone(questions):
    return [[{"role": "user", "content": q}] for q in questions]


# name: (what it is, conversations, temperature, bar for the median ratio to plain decoding or None)
SETS = {
    "repeating": ("text that repeats itself: code edits, corrections; greedy", alone(REPEATING), 0.0, 2.5),
    "free": ("free text, temperature 1", alone(FREE), 1.0, 0.97),
    "chat-en": ("free chat in English, long persona, temperature 0.8", chat("persona_en.md", CHAT_EN), 0.8, None),
    "chat-pl": ("free chat in Polish, long persona, temperature 0.8", chat("persona_pl.md", CHAT_PL), 0.8, None),
}
