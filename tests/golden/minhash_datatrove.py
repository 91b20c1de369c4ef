"""Writes what datatrove itself makes of some documents: the truth that the profile `datatrove-0.10` is held against.

    python3 -m venv venv && venv/bin/pip install "datatrove==0.10.1" "xxhash<4" tokenizers "spacy<3.9"
    venv/bin/python tests/golden/minhash_datatrove.py > tests/golden/minhash_datatrove.json

For documents the words are given, not found, so that its tokenizers (spaCy, jieba) have no say. All else runs as
published: the normalization, the shingles, the permutations, the signatures. What its English tokenizer makes of some
texts stands apart.
"""

import json
import random
import re
import sys
from importlib.metadata import version

from datatrove.pipeline.dedup import minhash
from datatrove.utils.text import simplify_text
from spacy.lang.char_classes import UNITS

# Bands, rows, words of a shingle.
SHAPES = [(14, 8, 5), (20, 7, 5), (1, 3, 2)]

DOCUMENTS = {
    "english": "The quick brown fox jumps over the lazy dog. It was 12,345.67 meters away — on Monday!\nCafé naïve.",
    "chinese": "敏捷的棕色狐狸，跳过了懒狗。价格是３００元！",
    "mixed": "他说：“Rust 1.90 is out”，然后走了。\u3000好吧",
    "japanese": "ガラスの靴は、が１つだけ残った。パン屋へ行こう！",
    "korean": "한국어 문장은 띄어쓰기를 합니다. 두 번째 문장, 2024년!",
    "greek": "Ο ΟΔΥΣΣΕΥΣ ΚΑΙ Ο ΣΙΣΥΦΟΣ ανέβηκαν στον λόφο. ΣΑΣ ΑΡΕΣΕΙ;",
    "turkish": "İSTANBUL'da IĞDIR'a giden İyi bir Ilık yol var",
    "arabic": "كان السعر ١٢٫٥ دينار، ثم أصبح ٣٠ دينارًا في المدينة",
    "hindi": "हिन्दी में १२३ शब्द और ४.५ किलो चावल हैं।",
    "vietnamese": "Tiếng Việt có dấu: Đường phố đông đúc vào buổi sáng",
    "empty": "",
    "white space": " \t\r\n\u00a0\u3000\x1c ",
    "only punctuation": "... —!? 。，《》 (###) $ %",
    "only marks": "\u0301\u0302 \u0303",
    "one word": "Hello",
    "four words": "one two, three; four!",
    "five words": "one two three four five",
    "repeats": "spam " * 40,
    "numbers": "1 2.5 3,000 4.5.6 7..8 1,2,3 12a34 v1.2 5. 6, ٣٫٤",
    "long words": "a" * 300 + " " + "b" * 31 + " " + "c" * 32 + " " + "d" * 33 + " é" * 50,
    "long": " ".join(f"word{i % 97} {i * 7919 % 1009}x y{i % 5}" for i in range(70)),
}

# Besides, all contractions and units that the tokenizer knows.
ENGLISH = [
    "I cannot say I don't like it; I'm sure they'd've said it's 5 km, 12.5kg or 30mph at 10am. It wasn't theirs!",
    "Set the id to 3 and the size to 64MB or 2.5 GB: 1m, 20m0m, x5m, 7in, 100ft², 6µm. Wed, im, well, hell, ill, its.",
    "──── ███░░ ★★★☆☆ 5★ a → b ·· • one ‘quoted’ £5 5€ 20°C ©2024 naïve ÀÉ",
    "His ids, hid, rid, aids, amid, sites, cant't, ives, theses, this, thiss; wont to, gonnas and y'all.",
]

# What normalization meets: letters of several kinds of case, marks of all classes, digits, separators, white space,
# punctuation that is on the list and such that is not.
POOL = list(
    "aZéÉßẞÅÅﬁǅİıΣσςΟΆοK"
    "中文龍々〇ガが゛゚한각ㅎกำ"
    "\u0301\u0327\u0323\u0338\u0345\u302e\u302f\u3099\u0903\u093e\u094d\u1b44\u1b35\ua9c0\U0001d165\U0001d16d\u20dd\u0488"
    "0159٣१１𝟘²½Ⅷ①"
    ".,،٫⎖⎗⎘"
    " \t\n\r\x0b\x0c\x1c\x1f\x85\u00a0\u2028\u3000\u200b\u180e\u2000"
    "!\"'_-—–…‘’“”·•°€™©、。「」；;`\u1fef\u037e\x00\x7f\x9f☃🎉👩‍🚀"
)


def main():
    rng = random.Random(7)
    pool = POOL + list("abc  12") * 6
    fuzz = ["".join(rng.choices(pool, k=rng.randint(1, 12))) for _ in range(600)]
    tokenizer = minhash.load_word_tokenizer("eng")
    rules = [rule for rule in tokenizer.tokenizer.tokenizer.rules if re.fullmatch(r"[a-z0-9]+", rule)]
    english = ENGLISH + [" ".join(rules), " ".join(f"5{unit}" for unit in UNITS.split("|"))]
    words = Words()
    minhash.load_word_tokenizer = lambda language: words
    golden = {
        "datatrove": version("datatrove"),
        "xxhash": version("xxhash"),
        "spacy": version("spacy"),
        "python": sys.version.split()[0],
        "permutations": [permutations(*shape) for shape in SHAPES],
        "documents": [document(name, text, words) for name, text in DOCUMENTS.items()],
        "simplified": [[text, simplify_text(text)] for text in fuzz],
        "english": [{"text": text, "words": tokenizer.word_tokenize(simplify_text(text))} for text in english],
    }
    sys.stdout.write(lines(golden) + "\n")


def lines(golden):
    """JSON with a line for each item of a list."""
    of_one = lambda value: (
        "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]" if isinstance(value, list) else json.dumps(value)
    )
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {of_one(value)}" for key, value in golden.items()) + "\n}"


class Words:
    """A tokenizer that was told the words."""

    def word_tokenize(self, _):
        return self.words


def signature(bands, rows, n):
    config = minhash.MinhashConfig(n_grams=n, num_buckets=bands, hashes_per_bucket=rows)
    return minhash.MinhashDedupSignature("/tmp", config)


def permutations(bands, rows, n):
    a, b = (values[0].tolist() for values in signature(bands, rows, n).parameters)
    return {"slots": bands * rows, "a": a, "b": b}


def document(name, text, words):
    simplified = simplify_text(text)
    # Ideographs, kana and marks that normalization leaves are words of their own, others stand between spaces.
    words.words = re.sub("([\u3040-\u30ff\u4e00-\u9fff،।])", r" \1 ", simplified).split()
    return {
        "name": name,
        "text": text,
        "simplified": simplified,
        "words": words.words,
        "signatures": [of_shape(*shape, text) for shape in SHAPES],
    }


def of_shape(bands, rows, n, text):
    made = signature(bands, rows, n)
    shingles = made.get_shingles(text)
    signature_of_all = made.get_signature(shingles) if shingles.size else []
    return {"bands": bands, "rows": rows, "n": n, "shingles": shingles.flatten().tolist(), "signature": signature_of_all}


main()
