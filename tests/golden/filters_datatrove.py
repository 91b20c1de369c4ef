"""Writes what datatrove's own filters decide about some documents: the truth that the filters' profiles
`datatrove-0.10` and `fineweb-2/cmn_Hani` are held against.

    python3 -m venv venv && venv/bin/pip install "datatrove[io,processing]==0.10.1" "xxhash<4" "spacy<3.9" jieba
    venv/bin/python tests/golden/filters_datatrove.py > tests/golden/filters_datatrove.json

datatrove decides; what it measured it does not say, so that the value of the rule that failed is worked out here from
its own words and helpers. A text is a list of pieces, each with how often it is repeated.
"""

import json
import random
import sys
from importlib.metadata import version

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION, split_into_words

MANDARIN = "cmn_Hani"
MANDARIN_STOP_WORDS = "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由".split()

# What each filter is made of, for each profile.
QUALITY = {
    "datatrove-0.10": {},
    "fineweb-2/cmn_Hani": dict(
        language=MANDARIN,
        min_avg_word_length=1,
        max_avg_word_length=5,
        max_non_alpha_words_ratio=0.735,
        stop_words=MANDARIN_STOP_WORDS,
    ),
}
REPETITION = {
    "datatrove-0.10": {},
    "fineweb-2/cmn_Hani": dict(
        language=MANDARIN,
        dup_para_frac=0,
        dup_para_char_frac=0,
        dup_line_char_frac=0,
        dup_line_frac=0.287,
        top_n_grams=((2, 0.256), (3, 0.201), (4, 0.171)),
        dup_n_grams=((5, 0.198), (6, 0.182), (7, 0.167), (8, 0.154), (9, 0.14), (10, 0.127)),
    ),
}
FINEWEB = {
    "datatrove-0.10": {},
    "fineweb-2/cmn_Hani": dict(
        language=MANDARIN, line_punct_thr=0.106, short_line_thr=999, char_duplicates_ratio=0.1, new_line_ratio=0.178
    ),
}
C4 = {
    "datatrove-0.10": {},
    "fineweb-2024": dict(filter_no_terminal_punct=False),
}

NOUNS = "river garden winter machine letter window station picture market mountain village doctor teacher morning".split()
VERBS = "carries follows remembers paints opens measures crosses repairs visits answers gathers explains".split()
PLACES = "behind the old mill,near an empty harbour,under grey clouds,along every northern road".split(",")
HAN = ["我们", "今天", "学习", "城市", "朋友", "认真", "准备", "图书馆", "天气", "消息", "发现", "山里", "老师", "问题", "非常"]


def sentences(seed, n):
    """English sentences, no two alike by plan."""
    draw = random.Random(seed)
    some = lambda i: (
        f"The {draw.choice(NOUNS)} of {draw.choice(NOUNS)} {i} {draw.choice(VERBS)} that {draw.choice(NOUNS)} "
        f"{draw.choice(PLACES)} and {draw.choice(VERBS)} with {draw.choice(NOUNS)}."
    )
    return [some(i) for i in range(n)]


def chinese_sentences(seed, n):
    draw = random.Random(seed)
    some = lambda i: "".join(draw.choice(HAN) for _ in range(draw.randint(4, 9))) + draw.choice("，的了是在") + (
        "".join(draw.choice(HAN) for _ in range(5)) + f"{i}次。"
    )
    return [some(i) for i in range(n)]


def nonsense(n):
    """`n` different words that nobody has ever said, of five letters each."""
    of = lambda i: "bdfgklmnprst"[i % 12] + "aeiou"[i // 12 % 5] + "lmnr"[i // 60 % 4] + "aeiou"[i // 240 % 5] + "st"[i // 1200 % 2]
    return [of(i) for i in range(n)]


def words(n, seed=0, end="."):
    """`n` words of English that no other rule minds."""
    draw = random.Random(seed)
    head = ["the", "end", "of", "and", "that"]
    return " ".join((head + [draw.choice(NOUNS) for _ in range(n)])[:n]) + end


def quality_documents():
    fill = words(60, 1)
    yield "datatrove-0.10", ""
    yield "datatrove-0.10", " \n\u3000"
    for n in (1, 49, 50, 51):
        yield "datatrove-0.10", words(n)
    # Marks are no words, but a raised dot and a wide digit two are.
    yield "datatrove-0.10", words(49) + " ,, !! ... — (×)"
    yield "datatrove-0.10", words(49) + " ‘"
    yield "datatrove-0.10", words(49) + " １"
    yield "datatrove-0.10", words(49) + " ２"
    yield "datatrove-0.10", [[fill + " ", 1639]]
    yield "datatrove-0.10", [[fill + " ", 1666], [words(40, 2), 1]]
    yield "datatrove-0.10", [[fill + " ", 1667]]
    for length in (2, 3, 10, 11):
        yield "datatrove-0.10", "the of " + " ".join("abcdefghijkl"[:length] for _ in range(60))
    # Exactly three, and exactly ten.
    yield "datatrove-0.10", "the of " + " ".join(["ab", "abcd"] * 30) + " abcd"
    yield "datatrove-0.10", " ".join(["the", "of"] + ["abcdefghij"] * 66 + ["abcdefghijklmnopqrstuvwxy"])
    for n in range(4, 9):
        yield "datatrove-0.10", fill + " #" * n
        yield "datatrove-0.10", fill + " ..." * n
        yield "datatrove-0.10", fill + " …" * n
        yield "datatrove-0.10", fill + "\nb ...." * n
    yield "datatrove-0.10", fill + " #####" * 2
    lines = sentences(3, 10)
    for mark in "-•*·–":
        for n in (9, 10):
            yield "datatrove-0.10", "\n".join((f"  {mark} " if i < n else "") + line for i, line in enumerate(lines))
    yield "datatrove-0.10", "\n\n".join("- " + line for line in lines)
    yield "datatrove-0.10", "\u2028".join("- " + line for line in lines)
    for n in (2, 3, 4, 5):
        for mark in ("...", "…", ". . ."):
            yield "datatrove-0.10", "\n".join(line + (mark + " \t" if i < n else "") for i, line in enumerate(lines))
    for n in (10, 12, 14, 15, 16, 20):
        yield "datatrove-0.10", words(60, 4, "") + " 7" * n
        yield "datatrove-0.10", words(60, 4, "") + " 7a" * n
        yield "datatrove-0.10", words(60, 4, "") + " Ⅻ" * n
    for stop in ("the", "The of", "the the the", "the of", "THE OF AND", "the. Of", "have with be", "don't to"):
        yield "datatrove-0.10", " ".join(["market window"] * 30) + " " + stop
    for n in (1, 4, 5, 6, 7, 8, 10):
        text = "".join(chinese_sentences(n, n))
        yield "fineweb-2/cmn_Hani", text
        yield "fineweb-2/cmn_Hani", text.replace("的", "").replace("是", "").replace("在", "").replace("了", "")
    long = "".join(chinese_sentences(40, 8))
    for n in (3, 4, 5, 6, 7, 8):
        yield "fineweb-2/cmn_Hani", long + "8，" * (4 * n)
        yield "fineweb-2/cmn_Hani", long + "#" * (2 * n)
        yield "fineweb-2/cmn_Hani", long + "……" * n
    yield "fineweb-2/cmn_Hani", long + " internationalisation-of-everything" * 80
    yield "fineweb-2/cmn_Hani", "".join(chinese_sentences(41, 8)).replace("，", "\n- ")


def repetition_documents():
    lines = sentences(11, 12)
    yield "datatrove-0.10", ""
    yield "datatrove-0.10", "a"
    yield "datatrove-0.10", "\n\n\n"
    yield "datatrove-0.10", "\n".join(lines)
    for n in range(1, 8):
        # Paragraphs and lines, short and long, repeated; the first copy is free.
        for short in ("Hm.", lines[3]):
            yield "datatrove-0.10", "\n\n".join(lines + [short] * n)
            yield "datatrove-0.10", "\n".join(lines + [short] * n)
            yield "datatrove-0.10", "\n\n\n".join(lines + [short] * n) + "\n\n\n"
            yield "datatrove-0.10", "\n" + "\n\n".join([short] * n + lines) + "\n"
    yield "datatrove-0.10", "\n".join(["\r", "\r", "\r", "\r"] + lines)
    yield "datatrove-0.10", "\n \n".join(lines[:3] + [" "] * 4)
    for n in range(2, 9):
        # A frequent pair, three words, four words; then runs that repeat, of five and of ten words.
        yield "datatrove-0.10", " ".join(lines) + " and so" * n * 4
        yield "datatrove-0.10", " ".join(lines) + " by and large" * n * 3
        yield "datatrove-0.10", " ".join(lines) + " as it may be" * n * 2
        run = " ".join(lines[5].split()[: n + 2])
        yield "datatrove-0.10", " ".join(line + " " + run for line in lines[: n + 4])
    strange = nonsense(500)
    for n in range(40, 110, 2):
        # A run of so many words of five hundred comes twice.
        yield "datatrove-0.10", " ".join(strange + strange[:n])
    # Written without spaces these repeat, with spaces they do not.
    yield "datatrove-0.10", "abc d e f g and ab cd e f g or a bcd e f g but abcd e f g"
    yield "datatrove-0.10", " ".join(["one two three four five six seven eight nine ten"] * 2)
    yield "datatrove-0.10", "one two three four five"
    yield "datatrove-0.10", "don't don't don't isn't isn't"
    for n in range(1, 8):
        text = "".join(chinese_sentences(50 + n, 12))
        yield "fineweb-2/cmn_Hani", text
        yield "fineweb-2/cmn_Hani", text + "我们今天" * n * 3
        yield "fineweb-2/cmn_Hani", text + text[: 20 * n]
        yield "fineweb-2/cmn_Hani", text.replace("。", "。\n") + "好。\n" * n
        yield "fineweb-2/cmn_Hani", "\n".join([text[:40]] * n + [text])


def fineweb_documents():
    lines = sentences(21, 25)
    yield "datatrove-0.10", ""
    yield "datatrove-0.10", " \n\u3000\n"
    for n in (1, 2, 3, 4):
        for end in (".", "!", "?", "。", "．", "।", "…", "”", '."', ". ", ".\r", ":", ";", "؟"):
            yield "datatrove-0.10", "\n".join(line[:-1] + (end if i < n else "") for i, line in enumerate(lines))
    for n in (14, 16, 17, 18):
        for length in (29, 30, 31):
            short = [line[:length].rstrip(" .").ljust(length - 1, "x") + "." for line in lines[:n]]
            yield "datatrove-0.10", "\n".join(short + lines[n:])
    for n in (1, 2):
        for length in (3, 20, 40, 80):
            yield "datatrove-0.10", "\n".join(lines + [lines[0][:length] + "."] * (n + 1))
    yield "datatrove-0.10", "\n\n \n".join(lines)
    for n in (1, 4, 5, 6, 7, 9):
        yield "datatrove-0.10", ("\n" * n).join(lines)
        yield "datatrove-0.10", "\n".join(lines) + "\n" * (30 * n)
    for n in range(3, 12):
        text = chinese_sentences(70 + n, 12)
        yield "fineweb-2/cmn_Hani", "\n".join(text)
        yield "fineweb-2/cmn_Hani", "\n".join(line if i < n - 3 else line[:-1] for i, line in enumerate(text))
        yield "fineweb-2/cmn_Hani", "".join(text) + "\n" * (5 * n)
        yield "fineweb-2/cmn_Hani", "\n".join(text + [text[0]] * (n - 3))


def c4_documents():
    lines = sentences(31, 6)
    page = "\n".join(lines)
    for profile in C4:
        for n in range(7):
            yield profile, "\n".join(lines[:n])
        yield profile, " ".join(lines)
        for length in (999, 1000, 1001):
            yield profile, page + "\nA line with " + "x" * length + " in it."
        for cut in ("[1]", "[]", "[edit]", "[citation needed]", "[Edit]", "[a]", "[٣]", "[12", "[[4]]"):
            yield profile, page + f"\nIt was {cut} so in those days{cut}.{cut}"
        for end in (".", "?", "!", '"', "'", "...", "…", "。", "”", ":", ".)", "....", " ."):
            yield profile, page + "\nA line that has this end" + end
        for short in ("Two words.", "One two three.", "One two [1].", "One [1] two [2].", "他来了。他走了。", "。 。 。"):
            yield profile, page + "\n" + short
        for bad in ("Lorem Ipsum", "lorem  ipsum", "JavaScript", "Java[1]Script", "{", "}", "Terms of Use", "our cookie policy"):
            yield profile, page + f"\nThis line has {bad} in it."
            yield profile, page + f"\nThis line has {bad}"
        for pair in ("{ and lorem ipsum", "javascript and {", "privacy policy and {", "use cookies and lorem ipsum"):
            yield profile, page + f"\nThis line has {pair} in it."
        yield profile, page.replace("\n", "\r\n") + "\r\n"
        yield profile, page.replace("\n", "\u2028") + "\u2029"
        yield profile, "\n\n  " + page.replace("\n", "  \n\n\t") + "\n\n"
        # Sentences are counted by the line.
        for line in (
            "One is. Two is. Three is. Four is. Five is.",
            "Is it? Yes! It is. (So it is.) And so on",
            "He said \"no.\" Then he left. Mr. Smith stayed. It was 3.14 p.m. in the U.S. They ran.",
            "It ends here.It goes on there. What?! No... Well. e.g. this one. Done.",
            "Wide． marks． end． too． they do． yes．",
            "A :) b. C :D d. E <3 f. G h. I j. K l.",
        ):
            yield profile, line
            yield profile, line + "\n" + line


def pieces(seed, n):
    """Documents of whatever the rules look for, in any order."""
    odd = ["the", "of", "with", "river", "garden", "Winter", "don't", "3.14", "e.g.", "U.S.", "...", "…", "#", "•", "-", "\n"]
    odd += ["\n\n", "\n- ", ". ", "!", "? ", ", ", "\"", "”", "(", ")", "[1]", "100km", "$5", "50%", "é", "naïve", "\u3000", "\u00a0"]
    odd += ["http://a.example/b?c=d", "x@y.example", "10am", "'s", "--", "—", "a/b", "snake_case", "CamelCase.Then", ":)", "2024-01-02"]
    for i in range(n):
        draw = random.Random(seed * 1000 + i)
        some = draw.sample(odd, draw.randint(3, len(odd)))
        joint = draw.choice(["", " ", " ", " "])
        yield joint.join(draw.choice(some) for _ in range(draw.randint(1, 220)))


def quality_value(rules, reason, text):
    words = split_into_words(text, rules.language)
    core = [word for word in words if any(char not in PUNCTUATION_SET for char in word)]
    lines = text.splitlines()
    share = lambda some: sum(some) / len(lines)
    return {
        "gopher_short_doc": lambda: len(core),
        "gopher_long_doc": lambda: len(core),
        "gopher_below_avg_threshold": lambda: float(np.mean([len(word) for word in core])),
        "gopher_above_avg_threshold": lambda: float(np.mean([len(word) for word in core])),
        "gopher_too_many_hashes": lambda: text.count("#") / len(words),
        "gopher_too_many_ellipsis": lambda: (text.count("...") + text.count("…")) / len(words),
        "gopher_too_many_bullets": lambda: share(line.lstrip().startswith(("•", "-")) for line in lines),
        "gopher_too_many_end_ellipsis": lambda: share(line.rstrip().endswith(("...", "…")) for line in lines),
        "gopher_below_alpha_threshold": lambda: sum(any(c.isalpha() for c in word) for word in words) / len(words),
        "gopher_enough_stop_words": lambda: len(rules.stop_words & set(words)),
    }[reason]()


def repetition_value(rules, reason, text):
    words = lambda: split_into_words(text, rules.language)
    if reason.startswith("dup_para"):
        pieces = rules.paragraph_exp.split(text.strip())
    elif reason.startswith("dup_line"):
        pieces = rules._line_splitter.split(text)
    elif reason.startswith("top_"):
        return find_top_duplicate(get_n_grams(words(), int(reason.split("_")[1]))) / len(text)
    else:
        return find_all_duplicate(words(), int(reason.split("_")[1])) / len(text)
    n, n_chars = find_duplicates(pieces)
    return n_chars / len(text) if reason.endswith("char_frac") else n / len(pieces)


def fineweb_value(rules, reason, text):
    lines = [line for line in text.split("\n") if line.strip()]
    return {
        "line_punct_ratio": lambda: sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines) / len(lines),
        "short_line_ratio": lambda: sum(len(line) <= 30 for line in lines) / len(lines),
        "char_dup_ratio": lambda: find_duplicates(lines)[1] / len(text.replace("\n", "")),
        "list_ratio": lambda: text.count("\n") / len(split_into_words(text, rules.language)),
    }[reason]()


def judge(kind, profiles, documents, value):
    """Every document with what datatrove decides about it."""
    for profile, text in documents:
        rules = kind(**profiles[profile])
        whole = text if isinstance(text, str) else "".join(piece * n for piece, n in text)
        row = {"filter": kind.__name__, "profile": profile, "text": text}
        document = Document(text=whole, id="")
        try:
            decided = rules.filter(document)
        except ZeroDivisionError:
            # Nothing to measure: datatrove stops there, we call it empty.
            row["reason"] = "nothing"
        else:
            if isinstance(decided, tuple):
                row["reason"] = decided[1]
                if value is not None:
                    row["value"] = 0 if decided[1] == "empty" else value(rules, decided[1], whole)
            elif document.text != whole:
                row["rewritten"] = document.text
        yield row


def main():
    with_profile = lambda texts: (("datatrove-0.10", text) for text in texts)
    rows = [
        *judge(GopherQualityFilter, QUALITY, quality_documents(), quality_value),
        *judge(GopherQualityFilter, QUALITY, with_profile(pieces(1, 80)), quality_value),
        *judge(GopherRepetitionFilter, REPETITION, repetition_documents(), repetition_value),
        *judge(GopherRepetitionFilter, REPETITION, with_profile(pieces(2, 60)), repetition_value),
        *judge(FineWebQualityFilter, FINEWEB, fineweb_documents(), fineweb_value),
        *judge(FineWebQualityFilter, FINEWEB, with_profile(pieces(3, 60)), fineweb_value),
        *judge(C4QualityFilter, C4, c4_documents(), None),
        *judge(C4QualityFilter, C4, with_profile(pieces(4, 60)), None),
    ]
    versions = {name: version(name) for name in ("datatrove", "spacy", "jieba", "numpy")}
    print(json.dumps({"versions": versions, "documents": rows}, ensure_ascii=False, indent=0), file=sys.stdout)


main()
