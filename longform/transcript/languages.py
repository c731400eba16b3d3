"""Language codes of Whisper: their English names, and their BCP 47 keys."""

from collections.abc import Mapping
from types import MappingProxyType

_NAMES = """
af afrikaans, am amharic, ar arabic, as assamese, az azerbaijani, ba bashkir, be belarusian,
bg bulgarian, bn bengali, bo tibetan, br breton, bs bosnian, ca catalan, cs czech, cy welsh,
da danish, de german, el greek, en english, es spanish, et estonian, eu basque, fa persian,
fi finnish, fo faroese, fr french, gl galician, gu gujarati, ha hausa, haw hawaiian, he hebrew,
hi hindi, hr croatian, ht haitian creole, hu hungarian, hy armenian, id indonesian, is icelandic,
it italian, iw hebrew, ja japanese, jv javanese, jw javanese, ka georgian, kk kazakh, km khmer,
kn kannada, ko korean, la latin, lb luxembourgish, ln lingala, lo lao, lt lithuanian, lv latvian,
mg malagasy, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay,
mt maltese, my myanmar, ne nepali, nl dutch, nn nynorsk, no norwegian, oc occitan, pa punjabi,
pl polish, ps pashto, pt portuguese, ro romanian, ru russian, sa sanskrit, sd sindhi, si sinhala,
sk slovak, sl slovenian, sn shona, so somali, sq albanian, sr serbian, su sundanese, sv swedish,
sw swahili, ta tamil, te telugu, tg tajik, th thai, tk turkmen, tl tagalog, tr turkish, tt tatar,
uk ukrainian, ur urdu, uz uzbek, vi vietnamese, yi yiddish, yo yoruba, yue cantonese, zh chinese
"""

# Names as OpenAI's verbose_json has them, by Whisper's code.
ENGLISH_NAMES: Mapping[str, str] = MappingProxyType(
    dict(entry.split(maxsplit=1) for entry in _NAMES.strip().split(","))
)

# Codes that the IANA language subtag registry has withdrawn for another.
_WITHDRAWN: Mapping[str, str] = MappingProxyType({"iw": "he", "jw": "jv"})

# Written without spaces between words; as in Whisper's own tokenizer, and Tibetan and Khmer.
_UNSPACED = frozenset({"bo", "ja", "km", "lo", "my", "th", "yue", "zh"})


# The other way round; of codes that share a name, the first is the one in use.
_CODES: Mapping[str, str] = MappingProxyType(
    {name: code for code, name in reversed([*ENGLISH_NAMES.items()])}
)


def language_code(name: str) -> str | None:
    """Return Whisper's code of a language given as code, tag or English name; None: unknown."""
    wanted = name.strip().casefold()
    code = wanted.replace("_", "-").partition("-")[0]
    return _CODES.get(wanted) or (code if code in ENGLISH_NAMES else None)


def language_name(code: str) -> str:
    """Return the English name of a language, in lower case; the code where it has no name."""
    return ENGLISH_NAMES.get(code, code)


def bcp47_key(code: str) -> str:
    """Return the BCP 47 language tag of one of Whisper's codes."""
    return _WITHDRAWN.get(code, code)


def writes_spaces(code: str) -> bool:
    """Tell whether words are separated by spaces; `code` is Whisper's or a BCP 47 key."""
    return code not in _UNSPACED
