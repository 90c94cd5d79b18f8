"""Model ids with slashes go through a whole run: its folder, figures, filters and report."""

import json

import pandas as pd
import pytest

pytestmark = pytest.mark.usefixtures("virtual", "pages")

MODELS = ("inworld/models/my-model", "openai/gpt-4.1/2026")


def test_a_sweep_over_models_with_slashes_is_told_by_their_whole_ids(bench, tmp_path):
    folder = tmp_path / "run"
    code, printed, err = bench(
        "run", "scenarios/demo.toml", "--out", folder, "--sessions", "4", "--duration", "20s",
        "--gates", "smoke", "--set", "load.warmup='0s'",
        "--set", f"sweep.model={json.dumps(MODELS)}",
        *(part for model in MODELS for part in (
            "--gate", f"share(answered){{setting={model}}} > 10 %",
        )),
    )  # fmt: skip
    assert code in {0, 4}, printed + err  # few turns
    assert {path.name for path in tmp_path.iterdir()} == {"run"}
    assert set(pd.read_parquet(folder / "turns.parquet")["setting"]) == set(MODELS)
    gates = json.loads((folder / "verdict.json").read_text())["gates"]
    mine = [gate["verdict"] for gate in gates if "setting=" in gate["gate"]]
    assert mine == ["pass", "pass"]
    report = (folder / "report.html").read_text()
    events = pd.read_parquet(folder / "events.parquet")
    updates = events[(events["type"] == "session.update") & (events["direction"] == "out")]
    asked = {json.loads(detail)["session"]["model"] for detail in updates["detail"]}
    assert asked == set(MODELS)
    for model in MODELS:
        assert model in report
        assert model in printed
    assert bench("report", folder)[0] == code
