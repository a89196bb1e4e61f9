# Copyright 2026 The hasrd authors
# Apache-2.0
import json
import shutil
from dataclasses import asdict, replace

from exp_tree import RECIPE, put_probe, report

from hasrd.metrics.scores import read_score
from hasrd.report.builder import tables_of
from hasrd.report.cells import MISSING
from hasrd.report.claims import claims
from hasrd.report.collect import Results, collect


def test_reconstruction_rows_and_missing_cells(scored):
    (table,) = tables_of("reconstruction", collect([scored / "exp"]), ["test"], all_rows=True)
    rows = dict(table.rows)
    assert table.test_set == "test" and table.experiment == "codec_small"
    assert [len(cells) for cells in rows.values()] == [4] * 5
    combined = rows["Combined: all streams"]
    path = scored / "exp/codec_small/scores/test/combined/mel.json"
    score = read_score(path)
    assert combined[0].source == str(path) and combined[0].field == "mean"
    assert combined[0].text == f"{score.mean:.2f} [{score.ci95[0]:.2f}, {score.ci95[1]:.2f}] (n=4)"
    assert all(cells[2] is MISSING for label, cells in rows.items() if label != "Constant mean spectrum")
    # 31.25 Hz x (4 + 3 + 3) bit: the streams' rates add up.
    rates = [float(rows[label][3].value) for label in list(rows)[:3]]
    assert rates == [0.31, 0.12, 0.19]
    assert rows["Constant mean spectrum"][0].value != "missing"


def test_several_codecs_are_compared(exp):
    assert tables_of("codecs", collect([exp / "exp"]), ["test"], all_rows=True) == []
    plain = exp / "exp/codec_plain"
    shutil.copytree(exp / "exp/codec_small", plain)
    for version in ("semantic", "acoustic", "shuffled"):
        shutil.rmtree(plain / "scores/test" / version)
    (rate,) = plain.rglob("bitrate.json")
    score = json.loads(rate.read_text())
    score["details"]["streams"] = {"acoustic": score["mean"]}
    score["details"]["loudness_bits"] = 32
    rate.write_text(json.dumps(score))

    results = collect([exp / "exp"])
    (table,) = tables_of("codecs", results, ["test"], all_rows=True)
    (small, of_small), (plain_name, of_plain) = table.rows
    assert {small, plain_name} == {"codec_small", "codec_plain"}
    assert table.note == "Bitrate of codec_plain: besides 32 bits an utterance, its loudness."
    notes = {table.experiment: table.note for table in tables_of("reconstruction", results, ["test"], all_rows=True)}
    assert notes == {"codec_small": "", "codec_plain": "Bitrate: besides 32 bits an utterance, its loudness."}
    assert [cell.text for cell in of_small] == [cell.text for cell in of_plain]
    assert of_small[2] is MISSING and not of_small[0].missing
    # A codec of one stream has no row for a part of it.
    tables = tables_of("reconstruction", results, ["test"], all_rows=True)
    rows = {table.experiment: [label for label, _ in table.rows] for table in tables}
    assert len(rows["codec_small"]) == 5
    assert rows["codec_plain"] == ["Combined: all streams", "Constant mean spectrum"]
    judged = {claim.text.partition(":")[0]: claim for claim in claims(results, ["test"], only_codecs=True)}
    assert set(judged) == {"codec_small", "codec_plain"}
    assert judged["codec_plain"].verdict == "holds" and "constant mean spectrum" in judged["codec_plain"].evidence
    report(exp, only_codecs="true", out_md=exp / "codecs.md", out_html=exp / "codecs.html")
    text = (exp / "codecs.md").read_text()
    assert "## Codecs: test" in text and "CTC probes" not in text
    assert "codec_plain" in (exp / "codecs.html").read_text()


def test_probe_rows(scored):
    (table,) = tables_of("probes", collect([scored / "exp"]), ["test"], all_rows=True)
    rows = dict(table.rows)
    assert rows["Acoustic tokens"] == [MISSING] * 3
    assert float(rows["Latents"][0].value) < float(rows["Latents shuffled in time"][0].value)


def test_two_experiments_of_one_row_are_told_apart(exp):
    latent = exp / f"exp/codec_small/probe_latent_{RECIPE}"
    shutil.copytree(latent, exp / f"exp/codec_other/probe_latent_{RECIPE}")
    shutil.copytree(latent, exp / "exp/codec_small/probe_latent_train_probe_wide_ffffffff")
    (table,) = tables_of("probes", collect([exp / "exp"]), ["test"], all_rows=True)
    labels = [label for label, _ in table.rows if label.startswith("Latents (")]
    assert labels == [
        "Latents (codec_other)",
        f"Latents (codec_small, {RECIPE})",
        "Latents (codec_small, train_probe_wide_ffffffff)",
    ]


def test_further_probes_in_order(tmp_path):
    for system in ("layer_10", "layer_2", "mix", "frontend_s3prl"):
        put_probe(tmp_path / "codec_hasrd", "test", system, wer=50.0)
    (table,) = tables_of("probes", collect([tmp_path]), ["test"], all_rows=True)
    labels = [label for label, _ in table.rows][6:]
    assert labels == ["Frontend s3prl", "Layer 2", "Layer 10", "Learned mix of all layers"]


def test_masked_and_codebook_tables(scored):
    results = collect([scored / "exp"])
    (masked,) = tables_of("masked", results, ["test"], all_rows=True)
    assert masked.rows[0][0] == "ssl_small" and not any(cell.missing for cell in masked.rows[0][1])
    (books,) = tables_of("codebooks", results, ["test"], all_rows=True)
    assert [label for label, _ in books.rows] == ["1: semantic", "2: acoustic", "3: acoustic", "All"]


def test_nothing_scored_is_missing_where_all_is_shown():
    results = Results()
    for key in ("reconstruction", "probes", "masked", "codebooks"):
        assert tables_of(key, results, ["test"]) == []
        (table,) = tables_of(key, results, ["test"], all_rows=True)
        cells = [cell for _, row in table.rows for cell in row]
        assert cells and all(cell.missing or cell.value == "–" for cell in cells)
    assert claims(results, ["test"]) == []
    judged = claims(results, ["test"], all_rows=True)
    assert {claim.verdict for claim in judged} == {"missing"} and len(judged) == 8


def test_claims_of_an_experiment(exp):
    judged = claims(collect([exp / "exp"]), ["test"], single_speaker=True, all_rows=True)
    verdicts = {claim.text: claim.verdict for claim in judged}
    assert [*verdicts.values()] == ["holds", "holds", "missing", "missing", "holds", "holds"]
    assert not any("voice" in text for text in verdicts)
    scores = exp / "exp/codec_small/scores/test"
    best = read_score(scores / "combined/mel.json")
    # One stream alone that is nearer than all together.
    nearer = replace(best, system="semantic", mean=best.mean / 2, ci95=tuple(bound / 2 for bound in best.ci95))
    (scores / "semantic/mel.json").write_text(json.dumps(asdict(nearer)))
    claim = claims(collect([exp / "exp"]), ["test"], all_rows=True)[1]
    assert claim.verdict == "does not hold" and f"{best.mean:.2f}" in claim.evidence
    (scores / "shuffled/mel.json").unlink()
    claim = claims(collect([exp / "exp"]), ["test"], all_rows=True)[1]
    assert claim.verdict == "missing" and "shuffled in time" in claim.evidence
