# Copyright 2026 The hasrd authors
# Apache-2.0
from hasrd.bin.report import main
from hasrd.metrics.scores import read_score
from hasrd.report.claims import claims
from hasrd.report.collect import Results, collect
from hasrd.report.tables import (
    MISSING,
    codebook_tables,
    codec_tables,
    masked_tables,
    probe_tables,
    reconstruction_tables,
    score_cell,
)


def test_reconstruction_rows_and_missing_cells(scored):
    (table,) = reconstruction_tables(collect([scored / "exp"]), ["test"])
    rows = dict(table.rows)
    assert table.test_set == "test" and table.experiment == "codec_small"
    assert [len(cells) for cells in rows.values()] == [4] * 5
    combined = rows["Combined: all streams"]
    score = read_score(scored / "exp/codec_small/scores/test/combined/mel.json")
    assert combined[0] == score_cell(score)
    assert combined[0].text == f"{score.mean:.2f} [{score.ci95[0]:.2f}, {score.ci95[1]:.2f}] (n=4)"
    assert all(
        cells[2] is MISSING for label, cells in rows.items() if label != "Constant mean spectrum"
    )
    # 31.25 Hz x (4 + 3 + 3) bit: the streams' rates add up.
    rates = [float(rows[label][3].value) for label in list(rows)[:3]]
    assert rates == [0.31, 0.12, 0.19]
    assert rows["Constant mean spectrum"][0].value != "missing"


def test_several_codecs_are_compared(exp):
    import json
    import shutil

    assert codec_tables(collect([exp / "exp"]), ["test"]) == []
    plain = exp / "exp/codec_plain"
    shutil.copytree(exp / "exp/codec_small", plain)
    for version in ("semantic", "acoustic", "shuffled"):
        shutil.rmtree(plain / "scores/test" / version)
    (rate,) = plain.rglob("bitrate.json")
    score = json.loads(rate.read_text())
    score["details"]["streams"] = {"acoustic": score["mean"]}
    rate.write_text(json.dumps(score))

    results = collect([exp / "exp"])
    (table,) = codec_tables(results, ["test"])
    (small, of_small), (plain_name, of_plain) = table.rows
    assert {small, plain_name} == {"codec_small", "codec_plain"}
    assert of_small == of_plain and of_small[2] is MISSING and not of_small[0].missing
    # A codec of one stream has no row for a part of it.
    rows = {t.experiment: [label for label, _ in t.rows] for t in reconstruction_tables(results, ["test"])}
    assert len(rows["codec_small"]) == 5
    assert rows["codec_plain"] == ["Combined: all streams", "Constant mean spectrum"]
    judged = {claim.text.partition(":")[0]: claim for claim in claims(results, ["test"], only_codecs=True)}
    assert set(judged) == {"codec_small", "codec_plain"}
    assert judged["codec_plain"].holds and "constant mean spectrum" in judged["codec_plain"].evidence
    main(
        ["--expdir", str(exp / "exp"), "--datadir", str(exp / "data"), "--corpus", "tones", "--only_codecs", "true"]
        + ["--out_md", str(exp / "codecs.md"), "--out_html", str(exp / "codecs.html")]
    )
    text = (exp / "codecs.md").read_text()
    assert "## Codecs: test" in text and "CTC probes" not in text
    page = (exp / "codecs.html").read_text()
    assert "side by side" in page
    # To hear, the codecs beside each other: no stream of the one beside the other's.
    assert "<h4>codec_plain</h4>" in page and "<h4>codec_small</h4>" in page and "<h4>Semantic only</h4>" not in page


def test_probe_rows(scored):
    (table,) = probe_tables(collect([scored / "exp"]), ["test"])
    rows = dict(table.rows)
    assert rows["Acoustic tokens"] == [MISSING] * 3
    assert float(rows["Latents"][0].value) < float(rows["Latents shuffled in time"][0].value)


def test_two_experiments_of_one_row_are_told_apart(exp):
    import shutil

    shutil.copytree(exp / "exp/probe_latent", exp / "exp/probe_latent_b")
    (table,) = probe_tables(collect([exp / "exp"]), ["test"])
    labels = [label for label, _ in table.rows]
    assert {"Latents (probe_latent)", "Latents (probe_latent_b)"} < set(labels)


def test_masked_and_codebook_tables(scored):
    results = collect([scored / "exp"])
    (masked,) = masked_tables(results, ["test"])
    assert masked.rows[0][0] == "ssl_small" and not any(cell.missing for cell in masked.rows[0][1])
    (books,) = codebook_tables(results, ["test"])
    assert [label for label, _ in books.rows] == [
        "1: semantic",
        "2: acoustic",
        "3: acoustic",
        "All",
    ]


def test_nothing_scored_is_all_missing():
    results = Results()
    for make in (reconstruction_tables, probe_tables, masked_tables, codebook_tables):
        (table,) = make(results, ["test"])
        cells = [cell for _, row in table.rows for cell in row]
        assert cells and all(cell.missing or cell.value == "–" for cell in cells)
    assert [claim.verdict for claim in claims(results, ["test"])] == ["missing"] * 3


def test_claims(exp):
    verdicts = [claim.verdict for claim in claims(collect([exp / "exp"]), ["test"])]
    assert verdicts == ["holds"] * 3
    scores = exp / "exp/codec_small/scores/test"
    best = read_score(scores / "combined/mel.json")
    swapped = (scores / "semantic/mel.json").read_text().replace('"semantic"', '"combined"')
    semantic = (scores / "combined/mel.json").read_text().replace('"combined"', '"semantic"')
    (scores / "semantic/mel.json").write_text(semantic)
    (scores / "combined/mel.json").write_text(swapped)
    claim = claims(collect([exp / "exp"]), ["test"])[1]
    assert claim.verdict == "does not hold" and f"{best.mean:.2f}" in claim.evidence
    (scores / "shuffled/mel.json").unlink()
    claim = claims(collect([exp / "exp"]), ["test"])[1]
    assert claim.verdict == "missing" and "shuffled in time" in claim.evidence
