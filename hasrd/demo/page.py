# Copyright 2026 The hasrd authors
# Apache-2.0
"""The page of `hasrd demo`, made with Gradio: controls, and what of `hasrd.demo.listen` they call."""

from __future__ import annotations

import functools
import os
from typing import Any, Callable

import numpy as np

from hasrd.demo.listen import Abx, Choice, Listener, choice_of
from hasrd.errors import UserError

# On a phone the columns of a row are put one below the other.
CSS = "@media (max-width: 600px) { .row { flex-direction: column !important; } }"


def _gradio() -> Any:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ImportError:
        raise UserError(
            "hasrd demo needs the package gradio: tools/install.sh --extras demo, or pip install 'hasrd[demo]'"
        ) from None
    return gradio


def make_page(listener: Listener) -> Any:
    """Build the page (`gradio.Blocks`) for a listener's models.

    Raises:
        UserError: Gradio is not installed.
    """
    gr = _gradio()
    names = list(listener.models)

    def told(function: Callable) -> Callable:
        """Show a UserError on the page."""

        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except UserError as error:
                raise gr.Error(str(error), print_exception=False) from None

        return call

    def of_model(model: str) -> tuple[Any, Any]:
        whole = listener.whole(model)
        return (
            gr.CheckboxGroup(choices=list(whole.streams), value=list(whole.streams)),
            gr.Slider(1, whole.codebooks, value=whole.codebooks, step=1),
        )

    @told
    def hear(model: str, path: str | None, streams: list[str], codebooks: float) -> tuple[Any, str, Any, Any]:
        if path is None:
            # Nothing is there to hear before there is a recording.
            return None, "", None, None
        choice = choice_of(listener, model, streams, codebooks)
        sound, text = listener.hear(choice, path)
        return sound, text, listener.picture(choice, path), listener.save(choice, path)

    @told
    def swap(model: str, first: str | None, second: str | None) -> tuple[Any, Any]:
        return listener.swap(model, first, second)

    def candidate(model: str, codebooks: float) -> Choice:
        return choice_of(listener, model, listener.streams(model), codebooks)

    @told
    def trial(path: str | None, test: Abx, *controls: Any) -> tuple[Any, ...]:
        candidates = {"A": candidate(*controls[:2]), "B": candidate(*controls[2:])}
        sounds = {name: listener.hear(choice, path)[0] for name, choice in candidates.items()}
        test = test.next(np.random.default_rng())
        return sounds["A"], sounds["B"], sounds[test.x], test, "Which one is X?"

    @told
    def answer(word: str, test: Abx) -> tuple[Abx, str]:
        test = test.answer(word)
        return test, str(test)

    def sound_in(label: str, name: str) -> Any:
        return gr.Audio(
            label=label, sources=["upload", "microphone"], type="filepath", elem_id=name, buttons=["download"]
        )

    def sound_out(label: str, name: str) -> Any:
        return gr.Audio(label=label, interactive=False, elem_id=name, buttons=["download"])

    def model_choice(label: str, name: str, value: str = names[0]) -> Any:
        return gr.Dropdown(names, value=value, label=label, elem_id=name)

    def books(label: str, name: str, model: str = names[0]) -> Any:
        count = listener.models[model].num_codebooks
        return gr.Slider(1, count, value=count, step=1, label=label, elem_id=name)

    # No font and no script is fetched from elsewhere.
    with gr.Blocks(title="hasrd demo", analytics_enabled=False) as page:
        gr.Markdown(
            "# hasrd demo\nSpeech to tokens and back. Nothing that you record leaves the machine that runs this."
        )
        with gr.Tab("Listen"):
            with gr.Row(elem_classes="row"):
                with gr.Column():
                    model = model_choice("Model", "model")
                    recording = sound_in("Record, or drop a file", "recording")
                    streams = gr.CheckboxGroup(
                        listener.streams(names[0]), value=listener.streams(names[0]), label="Streams (untick to mute)",
                        elem_id="streams",
                    )  # fmt: skip
                    kept = books("Keep the first codebooks", "codebooks")
                with gr.Column():
                    heard = sound_out("Decoded from the tokens", "heard")
                    facts = gr.Textbox(label="Tokens", interactive=False, elem_id="facts")
                    download = gr.DownloadButton("Download the tokens", elem_id="download")
            picture = gr.Plot(label="Spectrogram and token streams", elem_id="picture")
            controls = [model, recording, streams, kept]
            model.change(of_model, model, [streams, kept])
            for control in (recording, streams, kept):
                event = control.release if control is kept else control.change
                event(hear, controls, [heard, facts, picture, download])
        with gr.Tab("Exchange voices"):
            voice_model = model_choice("Model", "voice-model")
            with gr.Row(elem_classes="row"):
                first = sound_in("One recording", "first")
                second = sound_in("Another voice", "second")
            swap_button = gr.Button("Exchange the acoustic streams", variant="primary", elem_id="swap")
            with gr.Row(elem_classes="row"):
                first_out = sound_out("The first in the second's voice", "first-out")
                second_out = sound_out("The second in the first's voice", "second-out")
            swap_button.click(swap, [voice_model, first, second], [first_out, second_out])
        with gr.Tab("Compare by ear"):
            gr.Markdown(
                "A and B are two models, or one at two bitrates. X is one of them: which one? After some answers, the "
                "page says whether you hear a difference."
            )
            compared = sound_in("Record, or drop a file", "compared")
            with gr.Row(elem_classes="row"):
                with gr.Column():
                    model_a = model_choice("A: model", "model-a")
                    books_a = books("A: codebooks", "books-a")
                with gr.Column():
                    model_b = model_choice("B: model", "model-b", names[-1])
                    books_b = books("B: codebooks", "books-b", names[-1])
            model_a.change(lambda name: of_model(name)[1], model_a, books_a)
            model_b.change(lambda name: of_model(name)[1], model_b, books_b)
            draw = gr.Button("Play another X", variant="primary", elem_id="draw")
            with gr.Row(elem_classes="row"):
                out_a, out_x, out_b = sound_out("A", "out-a"), sound_out("X", "out-x"), sound_out("B", "out-b")
            with gr.Row():
                is_a = gr.Button("X is A", elem_id="is-a")
                is_b = gr.Button("X is B", elem_id="is-b")
            said = gr.Textbox(label="Result", interactive=False, elem_id="result")
            test = gr.State(Abx())
            settings = [model_a, books_a, model_b, books_b]
            draw.click(trial, [compared, test, *settings], [out_a, out_b, out_x, test, said])
            is_a.click(functools.partial(answer, "A"), test, [test, said])
            is_b.click(functools.partial(answer, "B"), test, [test, said])
            # Answers about other candidates don't count.
            for control in (compared, *settings):
                control.change(lambda: (Abx(), ""), None, [test, said])
    return page


def serve(listener: Listener, host: str, port: int, block: bool = True) -> str:
    """Show the page at an address, until it is interrupted.

    Args:
        listener: With the models.
        host: Address to listen on; "0.0.0.0" lets other machines in.
        port: Of it; 0 takes a free one.
        block: Whether to wait for the interruption.

    Returns:
        The page's URL.

    Raises:
        UserError: The port is in use.
    """
    gr = _gradio()
    page = make_page(listener)
    theme = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"])
    try:
        _, url, _ = page.launch(
            server_name=host, server_port=port or None, share=False, quiet=True, prevent_thread_lock=True,
            theme=theme, css=CSS,
        )  # fmt: skip
    except OSError:
        raise UserError(f"--port {port}: is in use: choose another one, or 0 for a free one") from None
    print(f"open {url} in a browser; Ctrl-C ends it", flush=True)
    if block:
        page.block_thread()
    return url
