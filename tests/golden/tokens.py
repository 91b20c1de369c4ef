"""Trains tiny tokenizers and writes what Hugging Face's `tokenizers` and OpenAI's `tiktoken` count with them.

    pip install tokenizers==0.23.3 tiktoken==0.14.0
    python tests/golden/tokens.py

leaves `tests/golden/tokens/*.json`, `*.tiktoken`, and `counts.json`: the texts, and the counts of each file.
"""

import base64
import json
import os

import tiktoken
from tiktoken_ext import openai_public
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokens")

TEXTS = [
    "",
    " ",
    "a",
    "The ferry leaves at seven, and nobody waits for those who come at five past.",
    "He'll say it's theirs; THEY'RE not so sure. I'd've asked, wouldn't you? IT'S",
    "It cost 3, 42, 1999 or 1234567 crowns -- in 2024-05-06 money.",
    "  two blanks at the front, and two at the end  ",
    "lines\nof\n\ntext\r\nwith \n blanks\t\tand tabs\n\n\n   and an end \n  ",
    "fn main() {\n    let getHTTPName = call(&x, 0x1F);\n    // done; /* here */\n}\n",
    "渡船七点开，谁也不等五分钟以后才来的人。河面上有雾，对岸的灯一盏一盏地亮了。",
    "他在2024年写了12345行code，然后GitHub上有3个issue。",
    "渡し船は七時に出る。だれも待たない。カタカナとひらがなと漢字。",
    "나룻배는 일곱 시에 떠난다. 늦은 사람은 기다리지 않는다.",
    "Паром уходит в семь, и НИКТО не ждёт опоздавших.",
    "العبّارة تغادر في السابعة ولا تنتظر أحدًا.",
    "नाव सात बजे जाती है।",
    "cafe\u0301 nai\u0308ve ﬁne Å \u00c5 ½ Ⅷ ٣٤ ʰªǅ 'ſ",
    "🚢🌊 \U0001f469\u200d\U0001f4bb and\u00a0so\u3000on\u2028here",
    "<|end|> in the text, <pad> too, <|end|><|end|>",
    "\u0000\u0001\u007f\ufffd",
    "x" * 300 + " " * 50 + "=" * 70 + "\n" * 20,
    "ab" * 500 + "河" * 200,
    "snake_case camelCase SCREAMING_CASE kebab-case https://example.org/a/b?c=d#e",
]

TRAINING = [text for text in TEXTS if len(text) < 250] * 3

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
BEFORE, SUFFIX = r"[^\r\n\p{L}\p{N}]?", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"{BEFORE}{UPPER}*{LOWER}+|{BEFORE}{UPPER}+{LOWER}*|\p{{N}}" + REST
O200K = rf"{BEFORE}{UPPER}*{LOWER}+{SUFFIX}|{BEFORE}{UPPER}+{LOWER}*{SUFFIX}|\p{{N}}{{1,3}}" + REST
OTHER = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(*before, first_blank=False, regex=False):
    last = pre_tokenizers.ByteLevel(add_prefix_space=first_blank, use_regex=regex)
    before = [split if isinstance(split, pre_tokenizers.PreTokenizer) else isolated(split) for split in before]
    return pre_tokenizers.Sequence([*before, last]) if before else last


def isolated(expression):
    return pre_tokenizers.Split(Regex(expression), "isolated")


def train(model, trainer, pre_tokenizer, normalizer=None, added=()):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(TRAINING, trainer)
    tokenizer.add_special_tokens(list(added))
    tokenizer.add_tokens([AddedToken("<pad>", normalized=True)] if added else [])
    return tokenizer


def bpe(pre_tokenizer, size=560, normalizer=None, added=(), alphabet=True, **options):
    initial = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    special = [options["unk_token"]] if "unk_token" in options else []
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=initial, show_progress=False, min_frequency=1, special_tokens=special
    )
    return train(models.BPE(**options), trainer, pre_tokenizer, normalizer, added)


def tokenizers():
    yield "gpt2", bpe(byte_level(regex=True))
    yield "gpt2_blank", bpe(byte_level(regex=True, first_blank=True), added=["<|end|>"])
    yield "gpt2_digits", bpe(byte_level(pre_tokenizers.Digits(individual_digits=True), regex=True))
    yield "llama3", bpe(byte_level(LLAMA3), added=["<|end|>"])
    yield "qwen2", bpe(byte_level(QWEN2), normalizer=normalizers.NFC())
    yield "o200k", bpe(byte_level(O200K))
    yield "tekken", bpe(byte_level(TEKKEN))
    yield "other", bpe(byte_level(r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", OTHER))
    # Bytes that are no token.
    yield "holes", bpe(byte_level(regex=True), size=300, alphabet=False)
    yield "holes_unknown", bpe(byte_level(regex=True), size=300, alphabet=False, unk_token="<unk>", fuse_unk=True)
    yield "whole", whole_first(bpe(byte_level(LLAMA3), size=500))
    # No byte-level BPE: for the feature `tokenizers`.
    metaspace = pre_tokenizers.Metaspace(prepend_scheme="always")
    unigram = trainers.UnigramTrainer(vocab_size=400, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False)
    yield "unigram", train(models.Unigram(), unigram, metaspace, normalizers.NFKC())
    wordpiece = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]"], show_progress=False)
    bert = pre_tokenizers.BertPreTokenizer()
    yield "wordpiece", train(models.WordPiece(unk_token="[UNK]"), wordpiece, bert, normalizers.BertNormalizer())
    yield "characters", bpe(metaspace, size=400, alphabet=False, unk_token="<unk>", byte_fallback=True)


def whole_first(tokenizer):
    """Takes words whole that no merges make."""
    plain = json.loads(tokenizer.to_str())
    plain["model"]["ignore_merges"] = True
    vocabulary = plain["model"]["vocab"]
    for word in ["Ġnobody", "Ġwaits", "GitHub"]:
        vocabulary.setdefault(word, len(vocabulary))
    plain["model"]["merges"] = plain["model"]["merges"][:-20]
    return Tokenizer.from_str(json.dumps(plain))


def as_tiktoken(tokenizer):
    """The vocabulary as bytes, in the order of their numbers."""
    letters = {}
    other = 256
    for byte in range(256):
        seen = 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte
        letters[chr(byte if seen else other)] = byte
        other += not seen
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return {bytes(letters[c] for c in token): rank for token, rank in vocabulary}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    counts = {}
    for name, tokenizer in tokenizers():
        with open(os.path.join(FOLDER, f"{name}.json"), "w", encoding="utf-8") as file:
            file.write(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
        counts[f"{name}.json"] = [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in TEXTS]
    ranks = as_tiktoken(bpe(byte_level(LLAMA3)))
    with open(os.path.join(FOLDER, "ranks.tiktoken"), "wb") as file:
        for token, rank in ranks.items():
            file.write(base64.b64encode(token) + b" " + str(rank).encode() + b"\n")
    openai_public.load_tiktoken_bpe = lambda *_, **__: ranks
    openai_public.data_gym_to_mergeable_bpe_ranks = lambda *_, **__: ranks
    patterns = {"gpt2": openai_public.r50k_pat_str, "llama3": LLAMA3, "qwen2": QWEN2, "tekken": TEKKEN}
    patterns |= {"cl100k": openai_public.cl100k_base()["pat_str"], "o200k": openai_public.o200k_base()["pat_str"]}
    for name, pattern in patterns.items():
        encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        counts[f"ranks.tiktoken {name}"] = [len(encoding.encode_ordinary(text)) for text in TEXTS]
    with open(os.path.join(FOLDER, "counts.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps({"texts": TEXTS, "counts": counts}, ensure_ascii=False, indent=1) + "\n")


main()
