"""Writes what Dolma's own tagger `gopher_v1` measures of some texts: the truth that the stage `dolma_gopher` is held
against.

    python3 -m venv venv && venv/bin/pip install "dolma==1.2.1"
    venv/bin/python tests/golden/filters_dolma.py > tests/golden/filters_dolma.json

Each measure is given by the setting whose limit it is held against.
"""

import json
import random
import sys

from dolma.taggers.gopher import get_attributes

WORDS = """the of and to a in be that have with is it was river boat mud town bridge #tag wait… wait... été naïve 中文 字
x 12 3.14 -- — … # ## don't well-kept Ωμέγα слово ½ ² \u00a0 a\u00a0b \u3000 ﬁne e\u0301 \u200b 😀""".split(" ")
LINES = ["* a point", "- another", " * not one", "• nor this", "it ends…", "it ends...", "it ends… ", "", "again", "again", "\r"]


def texts():
    yield from ["", " ", "\n", "a", "a b c d", "the the the the the the", "…", "#", "一二三四五六七八九十"]
    random.seed(7)
    for size in list(range(1, 40)) + [60, 100, 200, 400]:
        for _ in range(3):
            words = random.choices(WORDS, k=size)
            yield " ".join(words)
            # Repeats of all lengths, across line ends.
            cut = random.randrange(len(words))
            yield " ".join(words[:cut]) + "\n" + " ".join(words) + random.choice([" ", "\n", "\t"]) + " ".join(words[cut:])
    for size in range(1, 30):
        yield "\n".join(random.choices(LINES, k=size))
        yield "\n".join(random.choices(LINES + [" ".join(random.choices(WORDS, k=12)) for _ in range(4)], k=size))


def measured(text):
    found = get_attributes(text)
    values = {
        "min_words": found.word_count,
        "max_words": found.word_count,
        "min_median_word_length": found.median_word_length,
        "max_median_word_length": found.median_word_length,
        "max_symbol_words": found.symbol_to_word_ratio,
        "min_alphabetic_words": found.fraction_of_words_with_alpha_character,
        "min_stop_words": found.required_word_count,
        "max_bullet_lines": found.fraction_of_lines_starting_with_bullet_point,
        "max_ellipsis_lines": found.fraction_of_lines_ending_with_ellipsis,
        "max_duplicate_lines": found.fraction_of_duplicate_lines,
        "max_duplicate_line_characters": found.fraction_of_characters_in_duplicate_lines,
    }
    for n, value in found.fraction_of_characters_in_most_common_ngram:
        values[f"max_top_{n}_gram"] = value
    for n, value in found.fraction_of_characters_in_duplicate_ngrams:
        values[f"max_repeated_{n}_grams"] = value
    return values


json.dump([{"text": text, "values": measured(text)} for text in texts()], sys.stdout, ensure_ascii=False, indent=0)
print()
