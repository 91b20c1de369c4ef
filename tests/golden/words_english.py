"""Writes what datatrove itself takes for words and sentences of some texts: the truth for `src/tokenize`.

    python3 -m venv venv && venv/bin/pip install "datatrove==0.10.1" "xxhash<4" tokenizers "spacy<3.9"
    venv/bin/python tests/golden/words_english.py > tests/golden/words_english.json

Beside the texts stand the tables that the rules lean on: the special cases by their pieces, and the classes of
characters as ranges. What depends on the Unicode version of Python alone is left out.
"""

import json
import random
import re
import sys
from importlib.metadata import version

from datatrove.utils.text import split_into_sentences
from datatrove.utils.word_tokenizers import WhitespaceTokenizer, load_word_tokenizer
from spacy.lang import char_classes as classes
from spacy.pipeline.sentencizer import Sentencizer
from spacy.symbols import ORTH

ENGLISH = load_word_tokenizer("eng")
MULTI = WhitespaceTokenizer()

PROSE = [
    "",
    " ",
    "  ",
    "\n",
    "One word",
    "The ferry left at noon, but nobody waved.",
    "She said: \"I can't come; I'm not ready, and you're late!\"",
    "‘Don’t,’ he whispered, ‘they’ll hear us — they’ve got dogs.’",
    "It's the dogs' bowl, isn't it? The children's toys, James's hat, the 1990's, the '90s.",
    "Dr. Ames of St. Olaf Corp. met Mrs. Finch, Ph.D., in Wash. on Jan. 5th at 8a.m. or 9 p.m. or 10pm.",
    "We're gonna go, y'all; I'd've thought you'd've known. Whatcha doin'? Nothin' much, ma'am.",
    "Cannot, can not, cant, dont, wont, well, we'll, hell, he'll, ill, I'll, its, it's, wed, we'd, shed, she'd.",
    "Let's say c'mon, 'cause it's 5 o'clock and/or 6, w/o me, e.g. now, i.e. here (vs. there).",
    "I.e. this. E.g. that. U.S. law, the U.S.A. team, U.N., A.B.C., a.b.c., p.s., N.Y. and D.C. are here.",
    "He is from the U.S. He left. She lives in N.Y. Really? Mr. Smith went to Washington. Mt. Fuji is high.",
    "No space after the stop.Then a capital letter.then a small one.3 digits.And so on.",
    "Commas,without,spaces and 1,000,000 and x,1 and 1,x and é,à; semicolons;without;spaces.",
    "A well-known, state-of-the-art, twenty-five-year-old re-entry -- with dashes---many----too many.",
    "A dash—like this—or – like that–or ~ like a~b, then 5-6, 5–6, 5—6, 5-a, a-5, -5, -a, 5-, a-.",
    "Em—dash——double———triple, en–dash––double; e—5, 5—e, 5–e, e–5.",
    "Wait... what.. is.... this…and……that. Three. . . dots . . .",
    "...leading, ..leading, .leading; trailing..., mid...dle, mid..dle, mid…dle, ……, …",
    "What?! No!! Really??? (Yes.) [Sic!] {braces} <tags> 'quoted' \"double\" `ticks` ``latex'' «French» „German“",
    "((nested)) [[wiki]] {{curly}} <<shift>> ((a)b) (a(b)) f(x) g[y] h{z} (a)-(b) a(b)c",
    "# heading ## two #tag @user @user_name user@host & and && a&b AT&T R&D _under_ __dunder__ snake_case *bold* **b**",
    "$5 US$5 C$5 A$5 HK$5 £5 €5 ¥5 5$ 5US$ 5€ 5£ 5¥ ₹500 500₹ $5.99 5.99$ $1,000.00 -$5 +$5 ($5) $ $$ US$ 1$a",
    "100% 5 % 5%. 5%-6% 50°C 50 °C. 98.6°F. 0°K. 5° 5°. °C °c. x°C. ²³ m² 5m². 5 m³, 12km² a²b x². 5²",
    "+5 -5 5+ 5+5 5+-5 5*6 5^2 5-3 2-3-4 5--3 5+a a+5 C++ c++ C# F# g++ + ++ 1+ (5+) 5+.",
    "a=b a==b a:b a::b a<b a>b a/b a//b 5:30 5/6 5=5 a:5 5:a 5/a a/5 5<a 5>a 5=a é/è 中/文 key: value key:value",
    "1. First 2) second (3) third iv. fourth a) fifth b. sixth • seventh - eighth * ninth · tenth",
    "Version 1.2.3, v1.2, 3.14, .5, 5., 1.5kg, 1,5 kg, 1e-5, 0x1F, 1st, 2nd, 3rd, 1970s, 20th-century, B2B, H2O, 4K",
    "Dates: 2024-10-01, 01/10/2024, 1 Oct. 2024, Oct 1st, 10.1.24, '24; times: 10:30, 10:30am, 10:30 a.m., 7pm, 7p.m..",
    "12am 12a.m. 12 a.m. 13am 13a.m. 0am 1pm. (1pm) 1pm, '1pm' 1p.m.? 1p.m.) \"1a.m.\" 1-2p.m. 1a.m.-2p.m.",
    "Roman IV. and Prof. X. Mr.X Mr.Smith Mr. and (Mr.) \"Mr.\" Mr.. Mr., -Mr. Mr.-like St.-Jean co.uk Co., co. inc. Inc.",
    "A. B. C. a. b. c. x.y X.Y x.Y X.y aa. AA. Aa. aA. 5. é. É. ÉÀ. éà. ä. Ä. я. Я. ЯЯ. 中. あ. ア. 한. α. Ω. ΩΩ.",
    "ALLCAPS. ALLCAPS.ALLCAPS ALLCAPS.lower lower.ALLCAPS Mixed.Case mixed.case 'a.'B' \"a\".\"b\" a'.'b a”.“b",
    "NOUN and LOWER_CASE are words of spaCy's own. (NORM)",
]

ADDRESSES = [
    "See http://example.com, https://www.example.com/a/b?c=d&e=f#g. and (http://example.com/x_(y)).",
    "Go to www.example.com or example.com or example.com/path, example.org. Example.com EXAMPLE.COM example.Com",
    "Mail me@example.com, <me@example.com>, mailto:me@example.com, me+tag@mail.example.co.uk; me@localhost @me me@",
    "ftp://user:pass@ftp.example.com:21/dir/file.txt;type=a svn+ssh://host.example/x s3://bucket/key file:///etc/hosts",
    "example.com:80 example.com:8 example.com:123456 example.com:80/x example.com:x 1.2.3.4:80 localhost:8080",
    "1.2.3.4 10.0.0.1 10-a.0.0.1 192.168.1.1 172.16.0.1 172.15.0.1 127.0.0.1 0.0.0.0 255.255.255.255 223.1.1.254",
    "a-1.2.3.4 a-10.0.0.1 http://1.2.3.4/a-b http://10.0.0.1/a-b http://192.168.1.1/a-b http://172.20.1.1/a-b 1.2.3.4/a-b",
    "http://1.2.3.4:80/a-b http://224.1.1.1/a-b http://1.2.3.255/a-b http://1.2.3.0/a-b http://1.256.3.4/a-b 22.3.4.5/a-b",
    "http://a-b http://a-b.c http://a-b.cd http://-a-b.cd http://a-.cd http://a_b-c.de http://ab-.c-d.ef http://例-子.测试/a-b",
    "a-b.com/c,d a-b.com?c,d a-b.com#c,d a-b.com,c,d a-b.com;c-d a-b.com:99/c-d a-b.com:9/c-d a-b.com:99c-d a-b.COM/x,y",
    "@a-b.com x@a-b.com x:y@a-b.com x@y@a-b.com x@/a-b.com/@c-d.com x@y-z @@a-b.com a,b@c-d.com/e,f é,è@à-ù.fr",
    "x://a-b.com xy://a-b.com x+y://a-b.com x_y.z://a-b.com x!y://a-b.com :://a-b.com ://a-b.com //a-b.com http:/a-b.com",
    "a-" + "b" * 62 + ".com/x-y a-" + "b" * 63 + ".com/x-y a." + "c" * 63 + "/x-y a." + "c" * 64 + "/x-y",
    "example.com's example.com’s example.com, example.com! 'example.com' (example.com) \"example.com\" example.com… -example.com",
    "doi:10.1000/182 arXiv:2101.00001v2 ISBN:0-306-40615-2 C:\\Users\\me\\file.txt /usr/local/bin ~/src ./a.out ../b a/b/c",
    "foo.bar.Baz() foo->bar foo::bar obj.method(x,y) x[i]=y[j] if(a==b){c();} <div class=\"x\">text</div> &nbsp; &amp;",
]

EMOTICONS = [
    ":) :( ;) :-) :'( :P :D XD xD <3 </3 ^_^ -_- o_O O.o (^_^) (>_<) ¯\\(ツ)/¯ (╯°□°）╯︵┻━┻ ><(((*> @_@ ._. 8) 8-) =)",
    "Nice:) nice:-) nice :)) nice:))) nice:)))) (:nice (: :: :( :(( :((( :(((( :():( :) :) ) : )( :-/x x:/ x:/y http:/",
    ": ) : - ) :  ) :\n) ; ) ( : < 3 = ) a : ) b :' ( : ' ( (nice :) (nice:)) (:) (:)) [:] [=] =] ]= 8 ) (8) (8-) 8)8)",
    "x:) x:)) x:-) :) : )) :) )) :)) ) : ))) x:)) ) x:) :) o.O o.O. (o.O) -o.O- a-e.g. a-i.e.b a-vs.b x/w/o/y x-and/or-y",
    "'s 'S ’s ’S s' 'd 'll 're 've 'm n't 'em 'cause 'Cause 'cos 'bout 'nuff ''s ''s' 's. it's. (it's) \"it's\" -it's it's-a",
    "''quoted'' ’’ '' ' ’ — —— ( ' ) ('s) (') ('') '('. ') \\\") \\n \\t <space> <space>s a<space>b C++, (C++) C++.",
    "a-'s b-'em c-'cause (x-'d) x.'s y,'s x-’s x-’em x'em x'll x'll've xn't x'd've y'all'd y’all i'ma I’ma how'd'y how’d’y",
    "—it’s— —'s —’s …'s …it's… (a.m.) 5-a.m. x-p.m., x-Mr. x-Mr.-y x—e.g.—y (5-10a.m.) 5-10a.m., -5a.m. Ph.D.-x x-Ph.D.",
    "°C. x-°C. 5-°c. -°c.- a°f. (°k.) 8-D 8D x-8-D 0.0 0.0. -0.0- 0_0 o_o v.v V.V. x-v.v -v.v- :1 x:1 x:1. :3 x:3, 5:3",
    "¬_¬ (¬_¬) ಠ_ಠ (ಠ_ಠ) ಠ︵ಠ xಠ_ಠ ಠ_ಠ. ╯°□°）╯︵┻━┻ (╯°□°）╯ x(╯°□°）╯︵┻━┻ (╯°□°）╯︵┻━┻! ><(((*>x x><(((*> (*_*) x(*_*)y",
]

SCRIPTS = [
    "中文，没有空格。English在中间work吗？价格是３５．６元！「引号」『双』（括号）【方】《书》〈单〉…… ——好",
    "他说：“好。”然后走了。She said 好。Then 5公里 and 5km、6kg，10％ ５km ￥５ ５￥ ー あー。カタカナ・ひらがな",
    "日本語のテキスト、句読点。「はい！」と言った？ 한국어 문장입니다. 두 번째, 세 번째! 5개 10km 가.나 가,나 가-나 A가.B나",
    "Привет, мир! Это 5 км, 10кг, 5км/ч; т.е. и т.д. Он сказал: «Да». Ёлка.Ель ёлка.Ель ЁЛ. Ёл. да-нет ё,ж Їжак. Ґанок.ґ ѓ.Ѓ",
    "Ελλάδα. Καλημέρα, κόσμε! ΑΒ. Αβ. αβ.Γδ α,β α-β 5α; τι; Ά.ά ΐ.Α ϊ,α",
    "مرحبا، كيف الحال؟ 5كم 10م² 3غرام السعر١٢٫٥ دينار؛ نعم۔ كتاب.قلم كتاب,قلم كتاب-قلم ٪٥ ٥٪",
    "हिन्दी वाक्य। दूसरा वाक्य॥ ५ किलो 5kg हाँ,नहीं हाँ-नहीं हाँ.नहीं বাংলা। தமிழ்.சொல் తెలుగు,మాట ಕನ್ನಡ-ಪದ",
    "שלום, עולם! כן.לא כן,לא כן-לא ד״ר צה״ל አማርኛ። ሰላም፧ ไทย.คำ ไทย,คำ ไทย-คำ ລາວ ខ្មែរ។ မြန်မာ။ བོད་ཡིག།",
    "Çava naïve café.Été été.Été ÉTÉ. Éa. ß. ẞ. ŁÓ. łó.Łó ij.Ij ŉ.Ŋ ǆ.Ǆ ǅǅ. ǅ.ǅ ƻ.ƻ ƻƻ. ʔ.A ʔ. ÿ.Ÿ ſ.S ﬁ.A ﬁ,ﬁ ª. º. 5º. 1ª",
    "Tiếng.Việt đường,phố Đà-Nẵng ĐÀ. ạ.Ạ Ệ.ệ ỆỆ. ỆA. K. Å. ⅷ. Ⅷ. ⅧⅧ. ａ.Ｂ ＡＢ. ａ，ｂ ａ,ｂ ａ-ｂ １-ａ 1-ａ ａ：ｂ ａ:ｂ",
    "cafe\u0301.Noir e\u0301. e\u0301, E\u0301E\u0301. a\u0308,b a\u0308-b x\u0304.Y zero\u200bwidth soft\u00adhyphen \ufeffbom word\ufeff. a\u200d.B a\u200c,b \u200e5km\u200e 5\u200bkm",
    "Ж.ж ӘӘ. ә.Ә Ү.ү ңҢ ЂЂ. Ђ.ђ ђ.Ђ ЋА. ћ,ж ћ-ж ж-ћ Ѐ.ѐ Ѝ.ѝ ѢѢ. ѣ.Ѣ Հայ. Հայերեն։ Ինչ՞ ՀՀ. հ.Հ ქართ. ქ,ქ Ꭰ. Ꭰ-Ꭰ ა-ა",
]

SYMBOLS = [
    "😀 😀😀 a😀b 😀. .😀 (😀) 👍🏽 👨‍👩‍👧 🇩🇪 🥺 🫠 ❤️ ❤ ☺️ ★★★☆☆ 5★ ★5 a★b © ®x x® ™x Windows™. ©2024 a©b",
    "─── ███░░ │cell│ ┌─┐ a→b → ⇒ ← ↑↓ ▲▼ ■□ ●○ ◆ ✓ ✔done ✗ ☎5 ♥♦ ♪la♪ ℃ 5℃ ℉ № №5 ℗ ℠ 5′ 5″ ‰ 5‰ † ‡ x†",
    "¡Hola! ¿Qué? ¡¿Cómo?! ¢5 5¢ ¤ ¦ a¦b § §5 5§ ¨ ¬ ¯ ° 5° µ 5µm 5μm ¶ ¶x x¶ · a·b ·b a· ¸ ¹ x¹ º ¼ 1¼ ½cup × 5×6 ÷ 5÷6",
    "x−y 5−3 −5 ± ±5 5±1 ≤5 a≤b ≠ ≈5 ∞ ∑x √2 ∂ ∫ a∈B ∀x ⟦x⟧ ⟨x⟩ ⌈x⌉ \u2329x\u232a ‹x› ‐ a‐b a‑b a‒b a―b ‖ ‗ ‘x’ ‚x‛ “x” „x‟ ‹ ›",
    "㎏ 5㎏ ㎞ ㌔ ㈱x x㈱ 〒100 〆 〇 ㊙ x㊙y ⓐ ①② x①y ⺀ x⺀y ⼀ x⼀y 〠 x〠y 々 ゝ ヽ ・ ･ ｡x x｡ ､ ｢x｣ ﾟ ￡ ￠ ￦ ￥ ￤",
    "𝐛𝐨𝐥𝐝.𝐗 𝐛,𝐛 𝐀𝐀. 𠀀.𠀁 𠀀,𠀁 𠀀-𠀁 🀄x x🀄y 🈁x x🈁y 🈁. x🈂-y 𝄞 x𝄞y 🄰 🅰x 🆎 🇦 🪐x x🪐y 🤌 x🤌y \U0001f16cx x\U0001f16cy ﷼5 5﷼ ﷽",
    "! \" # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \\ ] ^ _ ` { | } ~",
    "!a \"a #a $a %a &a 'a (a )a *a +a ,a -a .a /a :a ;a <a =a >a ?a @a [a \\a ]a ^a _a `a {a |a }a ~a",
    "a! a\" a# a$ a% a& a' a( a) a* a+ a, a- a. a/ a: a; a< a= a> a? a@ a[ a\\ a] a^ a_ a` a{ a| a} a~",
    "5! 5\" 5# 5$ 5% 5& 5' 5( 5) 5* 5+ 5, 5- 5. 5/ 5: 5; 5< 5= 5> 5? 5@ 5[ 5\\ 5] 5^ 5_ 5` 5{ 5| 5} 5~",
    "a!b a\"b a#b a$b a%b a&b a'b a(b a)b a*b a+b a,b a-b a.b a/b a:b a;b a<b a=b a>b a?b a@b a[b a\\b a]b a^b a_b a`b a{b a|b a}b a~b",
    "5!6 5\"6 5#6 5$6 5%6 5&6 5'6 5(6 5)6 5*6 5+6 5,6 5-6 5.6 5/6 5:6 5;6 5<6 5=6 5>6 5?6 5@6 5[6 5\\6 5]6 5^6 5_6 5`6 5{6 5|6 5}6 5~6",
    "a!. a\". a#. a$. a%. a&. a'. a(. a). a*. a+. a,. a-. a/. a:. a;. a<. a=. a>. a?. a@. a[. a\\. a]. a^. a_. a`. a{. a|. a}. a~.",
]

SPACES = [
    " leading",
    "  leading",
    "trailing ",
    "trailing  ",
    "two  blanks   three",
    "a\tb\t\tc\n\nd\r\ne\rf \n g\n h\fi\vj",
    "no\u00a0break\u00a0 space \u00a0here\u00a0\u00a0.",
    "全角\u3000空格\u3000\u3000二 \u3000三\u3000 四",
    "a\u1680b\u2000c\u2009d\u200ae\u2028f\u2029g\u202fh\u205fi\u0085j\u001ck\u001dl\u001em\u001fn",
    "not\u200bspace\u180enor\u2060this\ufeff",
    "\u3000\u00a0\t x",
    "5km\n5km\u00a05km\u3000Mr.\u3000it's\tdon't\u0085C++\x1cx",
    "nul\x00nul \x00 \x01a b\x02. \x7f a\x7f. \x9f",
]

SENTENCES = [
    "One. Two. Three.",
    "One.Two. Three!Four? Five",
    "Wait... Is this one? Yes… it is!! Or two?! Three",
    "He said \"No.\" She left. (It rained.) [Then?] 'Yes.' “Why?” ‘So.’ End",
    "Mr. A. met Dr. B. at 5 p.m. in N.Y. They left. U.S. firms won. It cost $5. Then 6.",
    "No end",
    ".",
    ". .",
    ". . a . . b",
    "... a",
    "?! a",
    "One.  Two",
    "One.\nTwo",
    "One. \n Two",
    "One.\n\n\"Two\"",
    "One.\n\n\". Two",
    "One. \". Two",
    "One.  ",
    "One. ",
    "One.\n",
    " One.\u00a0",
    "One.  ) . x",
    "\n. One",
    "一。二！三？四｡五．六",
    "一。 ”二。“三。",
    "５．６ ５。６ a．b c．d.",
    "जय। दो॥ तीन। four",
    "Հայ։ Ինչ։ x",
    "نعم؟ لا۔ x",
    "ሰላም። ሁለት፧ ሦስት፨ x",
    "a ! ! b ? c . — d . - e . $ f . © g . 😀 h . 5 i . _ j",
    "a. 1) b. 2. c. iv. d",
    "Line one.[1] Line two.[2][3] Line three. [citation needed]  ",
    "a\u2047 b\u203c c ⁇ d ‼ e ‽ f ꘎ g 𑁇 h 𖫵 i",
]


def generated():
    """Texts that reach every entry of the lists."""
    units = classes.LIST_UNITS
    currency = [sign.replace("\\", "") for sign in classes.LIST_CURRENCY]
    yield " ".join(f"5{unit}" for unit in units)
    yield " ".join(f"x5{unit}." for unit in units)
    yield " ".join(f"5x{unit}" for unit in units)
    yield " ".join(f"5-{unit}" for unit in units)
    yield " ".join(f"(5{unit})" for unit in units)
    yield " ".join(f"{sign}5" for sign in currency)
    yield " ".join(f"5{sign}" for sign in currency)
    yield " ".join(f"x{sign}, {sign}x 5{sign}." for sign in currency)
    marks = [mark.replace("\\", "") for mark in classes.LIST_PUNCT + classes.LIST_QUOTES if mark]
    for shape in ["{m}x", "x{m}", "x{m}Y", "x{m}.", "x.{m}", "5{m}", "x{m}{m}y", "{m}{m}", "a-{m}b", "X{m}. z"]:
        yield " ".join(shape.replace("{m}", mark) for mark in marks)
    dashes = classes.LIST_HYPHENS
    for shape in ["x{d}y", "5{d}y", "x{d}5", "{d}y", "x{d}", "é{d}中", "x.{d}y", "5{d}6"]:
        yield " ".join(shape.replace("{d}", dash) for dash in dashes)
    random.seed(1)
    special = sorted(rule for rule in ENGLISH.tokenizer.tokenizer.rules if rule.strip())
    pieces = ["a", "X", "5", ".", ",", "-", "'", "’", '"', "(", ")", ":", "..", "…", "—", "é", "中", "$", "km", "/", "’s"]
    for shape in ["({})", '"{}"', "{}.", "{},", "x-{}", "{}-x", "—{}—", "x/{}"]:
        yield " ".join(shape.format(rule) for rule in random.sample(special, 60))
    for _ in range(150):
        words = ("".join(random.choices(special + pieces * 30, k=random.randint(1, 6))) for _ in range(6))
        yield random.choice([" ", " ", "  ", "\n"]).join(words)


def ranges(points):
    """Code points as ranges in hexadecimal."""
    found = []
    for point in sorted(points):
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return " ".join(f"{first:x}-{last:x}" for first, last in found)


def tables():
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    tokenizer = ENGLISH.tokenizer.tokenizer

    def matching(pattern):
        search = re.compile(pattern).search
        return ranges(point for point in points if search(chr(point)))

    stop = next(rule for rule in ENGLISH.tokenizer.Defaults.suffixes if rule.startswith("(?<=[0-9") and rule.endswith("."))
    return {
        "alpha": matching(f"[{classes.ALPHA}]"),
        "lower": matching(f"[{classes.ALPHA_LOWER}]"),
        "upper": matching(f"[{classes.ALPHA_UPPER}]"),
        "quote": matching(f"[{classes.CONCAT_QUOTES}]"),
        "prefix": ranges(point for point in points if point != ord("+") and tokenizer.find_prefix(chr(point))),
        "suffix": ranges(point for point in points if tokenizer.find_suffix(chr(point))),
        "infix": ranges(point for point in points if tokenizer.find_infix(chr(point))),
        "before_stop": ranges(point for point in points if re.search(stop + "$", chr(point) + ".")),
        "currency": matching("^(?:" + classes.CURRENCY + ")$"),
        "terminal": ranges(map(ord, Sentencizer.default_punct_chars)),
    }


def special(tokenizer):
    """The special cases that hold no white space, by their pieces."""
    rules = tokenizer.tokenizer.tokenizer.rules.items()
    return sorted([piece[ORTH] for piece in pieces] for text, pieces in rules if text.strip())


def main():
    texts = [*PROSE, *ADDRESSES, *EMOTICONS, *SCRIPTS, *SYMBOLS, *SPACES, *SENTENCES, *generated()]
    rows = []
    for text in texts:
        row = {"text": text, "english": ENGLISH.word_tokenize(text), "sentences": len(split_into_sentences(text, "eng"))}
        multi = MULTI.word_tokenize(text)
        # Where they are the same there is nothing to tell.
        if multi != row["english"]:
            row["multi"] = multi
        rows.append(row)
    versions = {name: version(name) for name in ["datatrove", "spacy"]}
    versions["python"] = sys.version.split()[0]
    head = {**versions, "classes": tables(), "special": {"english": special(ENGLISH), "multi": special(MULTI._spacy_xx)}}
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    lines = ",\n".join(dump(row) for row in rows)
    print("{\n" + ",\n".join(f"{dump(key)}: {dump(value)}" for key, value in head.items()) + f',\n"texts": [\n{lines}\n]\n}}')


main()
