# Copyright 2026 The hasrd authors
# Apache-2.0
"""What is said in a prompt, from texts as the packages hold them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasrd.data.prompt_text import DIGITS, Unclear, parse_prompts, transcript


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("en", "Thank you for calling Super Awesome Company, Waldo's premier provider.",
         "THANK YOU FOR CALLING SUPER AWESOME COMPANY WALDO'S PREMIER PROVIDER"),
        ("en", "Press 1 to accept, or 2 to reject it...", "PRESS ONE TO ACCEPT OR TWO TO REJECT IT"),
        ("en", "at [@]", "AT"),
        ("en", 'IAX (note: does not say "2")', "IAX"),
        ("en", "press # to enter", "PRESS POUND TO ENTER"),
        ("en", "A 'polite' \"don't call\" menu", "A POLITE DON'T CALL MENU"),
        ("en", "De-activated.", "DE ACTIVATED"),
        ("it", "[!] punto esclamativo", "PUNTO ESCLAMATIVO"),
        ("it", "Voce disattivata. (You are now muted.)", "VOCE DISATTIVATA"),
        ("it", "l’utente è già qui", "L'UTENTE È GIÀ QUI"),
        ("fr", "Composez votre numéro d'agent, suivi du dièse ou appuyez sur 5.Pour…",
         "COMPOSEZ VOTRE NUMÉRO D'AGENT SUIVI DU DIÈSE OU APPUYEZ SUR CINQ POUR"),
        ("ru", "Нажмите 1 – «важно»: ещё", "НАЖМИТЕ ОДИН ВАЖНО ЕЩЁ"),
        # Decomposed letters become one.
        ("es", "u\u0301ltimo", "ÚLTIMO"),
    ],
)  # fmt: skip
def test_spoken(language: str, text: str, spoken: str):
    assert transcript(text, language) == spoken


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[this is a simple beep tone]", "no speech"),
        ("(10 seconds of silence)", "no speech"),
        ("<beep ascending>", "no speech"),
        ("...", "no speech"),
        ("dial 500 now", "number"),
        ("H.323", "number"),
        ("3D audio", "number"),
        ("28.8 kilobit", "number"),
        ("visit www.asterisk.org", "web address"),
        ("sorry, [that] is wrong", "note in the middle"),
        ("our (emphatic) leader", "note in the middle"),
        ("a + b", "the sign"),
        ("naïve", "not English"),
    ],
)
def test_unclear(text: str, why: str):
    with pytest.raises(Unclear, match=why):
        transcript(text, "en")


def test_lines_that_run_into_the_next_prompt_are_cut():
    names = {"vm-review", "conf-menu"}
    assert transcript("Press one.vm-review: Press two.", "en", names) == "PRESS ONE"
    assert transcript("Press one vm-review: Press two", "en", names) == "PRESS ONE"
    assert transcript("conf-menu: Press one", "en", names) == "PRESS ONE"
    assert transcript("You have these options: Dial 1", "en", names) == "YOU HAVE THESE OPTIONS DIAL ONE"


@given(st.sampled_from(sorted(DIGITS)), st.text())
def test_any_text_gives_words_of_letters_or_is_unclear(language: str, text: str):
    try:
        spoken = transcript(text, language)
    except Unclear:
        return
    assert spoken and spoken == " ".join(spoken.split())
    for word in spoken.split():
        assert re.fullmatch(r"[^\W\d_](?:[\w']*\w)?", word), word
    assert transcript(spoken, language) == spoken


def test_prompts_are_read_with_byte_order_mark_comments_and_doubles():
    content = "\ufeff; comment: x\n\nhello: Hello: you\nempty:\ntwice: a\ntwice: b\nsame: c\nsame: c\nno colon\n"
    prompts, ambiguous = parse_prompts(content.encode())
    assert prompts == {"hello": "Hello: you", "empty": "", "twice": "b", "same": "c"}
    assert ambiguous == {"twice"}
