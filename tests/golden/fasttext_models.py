"""Makes the small models and the predictions that the module `fasttext` is held to.

    pip install fasttext-wheel==0.9.2 "numpy<2"
    python tests/golden/fasttext_models.py

Writes tests/golden/fasttext/*.{bin,ftz} and tests/golden/fasttext/predictions.json. One thread, so the
models are the same each time on the same machine; the predictions belong to the models beside them.
"""

import json
import os
import tempfile

import fasttext

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fasttext")

TOPICS = {
    "boat": "the boat lay on the mud and waited for the tide ; a rope held the bow to the old pier .",
    "bread": "knead the dough until it is smooth , let it rise under a cloth and bake it in a hot oven .",
    "stars": "through the telescope we saw the rings of the planet and three of its moons in a line .",
    "garten": "im garten blühen die rosen , und über den zaun schaut jeden morgen die katze der nachbarin .",
    "茶": "春天 的 茶 香 飘 进 院子 ， 老人 坐 在 树 下 慢慢 地 喝 ， 什么 也 不 说 。",
    "птица": "птица сидела на ветке и пела , пока над рекой не поднялся туман .",
}


def lines():
    """Every window of a topic's words, so that the counts of labels and words differ."""
    for n, (label, text) in enumerate(TOPICS.items()):
        words = text.split()
        for size in range(3, 8 + n):
            for at in range(0, len(words) - size + 1):
                yield f"__label__{label} " + " ".join(words[at : at + size])


def many_labels():
    """More labels than a codebook has entries, which is what a quantised output needs."""
    words = " ".join(TOPICS.values()).split()
    for i in range(258):
        for j in range(1 + i % 5):
            yield f"__label__n{i} {words[i % len(words)]} {words[(i * 7 + j) % len(words)]} w{i}"


TEXTS = [
    "",
    " ",
    "the boat",
    "the boat lay on the mud",
    "The boat lay on the Mud.",
    "dough\tand\x0bcloth\x0cin a\rhot oven",
    "dough and\x00cloth",
    "three moons  and   three rings",
    "zzz qqq xxx",
    "a",
    "é",
    "über den zaun schaut die katze",
    "überall schauten nachbarskatzen",
    "老人 坐 在 树 下",
    "老人坐在树下慢慢地喝",
    "птица пела над рекой",
    "птицы певали",
    "the telescope </s> and the dough rise under a cloth",
    "</s>",
    "__label__boat dough in the oven",
    "__label__unknown dough in the oven",
    "boat bread stars",
    "n7 w7 w2",
    "w299 w99 dough",
    "🌟 \u200bcloth\u00a0oven \u2028 bow",
    "the " * 200,
    " ".join(TOPICS.values()),
]


def train(source, **settings):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt", delete=False) as file:
        file.write("".join(line + "\n" for line in source))
    settings = {"dim": 4, "epoch": 12, "lr": 0.5, "bucket": 200, "thread": 1, "verbose": 0, **settings}
    model = fasttext.train_supervised(file.name, **settings)
    os.unlink(file.name)
    return model


def predictions(model, n_labels):
    made = []
    for text in TEXTS:
        labels, probabilities = model.predict(text, k=n_labels)
        made.append([[label[len("__label__") :], round(float(p), 7)] for label, p in zip(labels, probabilities)])
    return made


def main():
    os.makedirs(FOLDER, exist_ok=True)
    golden = {"texts": TEXTS, "models": {}}

    def keep(name, model):
        model.save_model(os.path.join(FOLDER, name))
        # As loaded again, which is what everybody else sees.
        model = fasttext.load_model(os.path.join(FOLDER, name))
        golden["models"][name] = predictions(model, 2)

    for loss in ["softmax", "hs", "ova"]:
        for n in [1, 2]:
            for minn, maxn in [(0, 0), (2, 4)]:
                kind = f"{loss}-words{n}-chars{maxn}"
                settings = {"loss": loss, "wordNgrams": n, "minn": minn, "maxn": maxn}
                keep(f"{kind}.bin", train(lines(), **settings))
    # Five dimensions leave a last part of one in codes of two and of three.
    for loss in ["softmax", "hs", "ova"]:
        kind = {"loss": loss, "wordNgrams": 2, "minn": 2, "maxn": 3, "dim": 5, "bucket": 400}
        model = train(lines(), **kind)
        model.quantize(dsub=3)
        keep(f"{loss}-quantised.ftz", model)
        model = train(lines(), **kind)
        model.quantize(qnorm=True)
        keep(f"{loss}-qnorm.ftz", model)
        model = train(lines(), **kind)
        model.quantize(qnorm=True, cutoff=300)
        keep(f"{loss}-cutoff.ftz", model)
        model = train(many_labels(), **{**kind, "epoch": 25})
        model.quantize(qnorm=loss == "hs", qout=True, cutoff=400)
        keep(f"{loss}-qout.ftz", model)
    # Only words are kept, so that no hashed feature is left.
    model = train(many_labels(), wordNgrams=2, bucket=3)
    model.quantize(qnorm=True, cutoff=256)
    keep("words-only-cutoff.ftz", model)

    # Labels as models of languages have them.
    names = {"boat": "eng_Latn", "bread": "eng_Latn", "stars": "eng_Latn", "garten": "deu_Latn", "茶": "cmn_Hani"}
    names["птица"] = "rus_Cyrl"
    named = [line.replace(label, name, 1) for line in lines() for label, name in names.items() if f"__{label} " in line]
    model = train(named, loss="hs", minn=2, maxn=3, bucket=400)
    model.quantize(qnorm=True)
    keep("languages.ftz", model)

    with open(os.path.join(FOLDER, "predictions.json"), "w", encoding="utf-8") as file:
        rows = [f"{json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}" for name, row in golden["models"].items()]
        texts = json.dumps(golden["texts"], ensure_ascii=False)
        file.write('{"texts": ' + texts + ',\n"models": {\n' + ",\n".join(rows) + "\n}}\n")


main()
