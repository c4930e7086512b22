"""What a measurement is said to take before it starts."""

import pytest

from bitskept.instruments.job import Job
from bitskept.run import command_line, forecast, jobs


def job(subject, parameters, tokens):
    return Job("measure", "04_ib_correlations", "compression", subject, parameters, {}, lambda: None, tokens=tokens)


@pytest.mark.usefixtures("home")
def test_models_gigabytes_and_hours(monkeypatch):
    monkeypatch.setattr(forecast, "operations_a_second", lambda: 1e12)
    chosen = [job("gpt2", 124_000_000, 10**9), job("pythia-70m@step1000", 70_000_000, 0), job("gpt2", 124_000_000, 0)]
    said = forecast.forecast(chosen).splitlines()
    assert said[0].startswith("3 jobs on 2 models.")
    assert said[1] == "Models that are not here: 2, about 0.4 GB to download."
    assert said[2].startswith("The largest is gpt2: 0.5 GB of memory in float32")
    hours = forecast.INSTRUMENTS * 2 * 124e6 * 1e9 / 1e12 / 3600
    assert said[3].startswith(f"At most about {hours:,.1f} hours for 1 of these jobs, at the 1,000 GFLOP/s")
    assert said[4] == "No time can be said for the other 2."


@pytest.mark.usefixtures("one_thread")
def test_a_machines_speed_is_measured():
    assert 1e8 < forecast.operations_a_second() < 1e15


@pytest.mark.usefixtures("home")
def test_a_dry_run_does_no_job(monkeypatch, capsys):
    monkeypatch.setattr(jobs, "run", lambda *_: pytest.fail("a job was done"))
    monkeypatch.setattr(forecast, "operations_a_second", lambda: 1e12)
    assert command_line.main(["measure", "--profile", "paper", "--notebook", "04", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "models" in said
    assert "GB to download" in said
    assert "hours" in said
