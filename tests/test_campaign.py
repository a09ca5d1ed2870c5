"""The campaign: its configurations, its files, its ledger, its refusals; a batch of each kind on the simulator."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from acceltran.hw.spec.activations import ACTIVATIONS
from acceltran.hw.spec.config import RULES
from acceltran.hw.spec.errors import ConfigError
from campaign import __main__ as command
from campaign.attack import MOST_TRIES, attack, fewer_cases
from campaign.batch_file import load_batch, save_batch
from campaign.campaign import Plan, run_campaign
from campaign.configurations import DOMAINS, configuration, configurations, pairs_of, wanted_pairs
from campaign.encoder_spec import draw_spec
from campaign.encoders import Encoders
from campaign.errors import CampaignError
from campaign.hostile import Hostile
from campaign.kind import Tally, make_batch, with_cases
from campaign.kinds import KINDS
from campaign.ledger import Ledger
from campaign.moments import Moments
from campaign.seeds import parse_seeds, seeds_text
from campaign.system import CALM
from support.configs import CLUSTERS, CONFIGS


class Planted:
    """A kind that fails with case 13 as long as it is loud, and counts its cases."""

    name = "planted"

    def batches(self, seed, count):
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            cases = rng.sample(range(14, 500), 40)
            cases[rng.randrange(40)] = 13 if seed % 2 else 12
            yield make_batch(self.name, seed, CONFIGS["one_pe"], {"loud": True, "other": 1}, cases)

    def run(self, batch, folder):
        (folder / "log").write_text("here")
        tally = Tally(counts=Counter(programs=len(batch["cases"])))
        if 11 in batch["cases"]:
            raise KeyboardInterrupt
        if 10 in batch["cases"]:
            raise ZeroDivisionError("on two\nlines")
        if 13 in batch["cases"] and batch["settings"]["loud"]:
            tally.failures.append((batch["cases"].index(13), "thirteen"))
        return tally

    def smaller(self, batch):
        for cases in fewer_cases(batch["cases"]):
            yield with_cases(batch, cases)
        for name in ("loud", "other"):
            if batch["settings"][name]:
                yield batch | {"settings": batch["settings"] | {name: 0}}


@pytest.fixture
def planted(monkeypatch):
    monkeypatch.setitem(KINDS, "planted", Planted())
    return KINDS["planted"]


def test_every_pair_of_values_occurs_or_is_refused():
    chosen, left = configurations()
    assert len(chosen) >= 40 and sum(bool(config.functions) for _, config in chosen) >= 40
    have = set().union(*(pairs_of(values) for values, _ in chosen))
    wanted = wanted_pairs()
    assert wanted - have == left.keys() and len(wanted) > 4000
    for field, domain in DOMAINS.items():
        assert {values[field] for values, _ in chosen} == set(domain), field
    rng = random.Random(1)
    for pair, reason in left.items():
        assert reason
        for _ in range(40):
            with pytest.raises(ConfigError):
                configuration({field: rng.choice(domain) for field, domain in DOMAINS.items()} | dict(pair))


def test_values_reach_the_ends_of_what_a_field_may_be():
    assert DOMAINS.keys() == RULES.keys() | {"functions"}
    assert {name for names in DOMAINS["functions"] for name in names} == {entry.name for entry in ACTIVATIONS}
    for field, (check, remedy) in RULES.items():
        values = [value for value in DOMAINS[field] if value is not None]
        assert all(map(check, values)), field
        if bounds := re.fullmatch(r"choose a whole number from (\d+) to (\d+)", remedy):
            assert (min(values), max(values)) == tuple(map(int, bounds.groups())) and len(values) > 2, field
        else:
            assert set(map(str, values)) == set(remedy.removeprefix("choose one of ").split(", ")), field


@pytest.mark.slow
def test_a_seed_makes_the_same_list_again():
    names = [(config.name, config.to_json()) for _, config in configurations()[0]]
    assert names == [(config.name, config.to_json()) for _, config in configurations.__wrapped__()[0]]


@pytest.mark.parametrize("name", KINDS)
def test_a_seed_makes_the_same_batch_again(name):
    kind = KINDS[name]
    first, second = (list(kind.batches(seed, 2)) for seed in (7, 7))
    assert first == second == json.loads(json.dumps(first))
    assert first[0] != first[1] and first[0]["cases"] != list(kind.batches(8, 1))[0]["cases"] or name == "hostile"
    assert all(one["kind"] == name and one["seed"] == 7 for one in first)
    smaller = list(kind.smaller(first[0]))
    assert len(smaller) > 20 and first[0] not in smaller and all(one["config"] == first[0]["config"] for one in smaller)


def test_what_fails_is_shrunk_written_and_replayed(planted, tmp_path, capsys):
    lines = []
    session, files = run_campaign(Plan(kinds={"planted": planted}, seeds=[1, 2, 3], folder=tmp_path), Ledger(), lines.append)
    assert [file.name for file in files] == ["planted-1.json", "planted-3.json"]
    entry = session.kinds["planted"]
    assert (entry["counts"]["programs"], entry["failures"], entry["seeds"]) == (120, 2, "1-3")
    assert sum(line.startswith("FOUND") for line in lines) == 2
    batch, kind = load_batch(files[0], KINDS)
    assert kind is planted and batch["cases"] == [13] and batch["settings"] == {"loud": True, "other": 0}
    assert command.main(["--replay", str(files[0]), "--output", str(tmp_path)]) == 1
    assert "thirteen" in capsys.readouterr().out
    save_batch(with_cases(batch, [14]), tmp_path / "good.json")
    assert command.main(["--replay", str(tmp_path / "good.json"), "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["planted-1", "planted-3", "replay-planted-1"]


@pytest.mark.slow
def test_workers_of_dask_find_the_same(planted, tmp_path):
    run_campaign(Plan(kinds={"planted": planted}, seeds=[1, 2, 3, 4], folder=tmp_path / "here"), Ledger(tmp_path / "one"), str)
    run_campaign(Plan(kinds={"planted": planted}, seeds=[1, 2, 3, 4], folder=tmp_path / "there", jobs=2),
                 Ledger(tmp_path / "two"), str)
    one, two = (json.loads((tmp_path / name).read_text())["kinds"]["planted"] for name in ("one", "two"))
    assert one["seeds"] == two["seeds"] == "1-4" and one["counts"]["programs"] == two["counts"]["programs"]
    for name in ("planted-1.json", "planted-3.json"):
        assert (tmp_path / "here" / name).read_text() == (tmp_path / "there" / name).read_text()


def test_what_a_batch_raises_is_a_find(planted, tmp_path):
    (batch,) = planted.batches(2, 1)
    found = attack(planted, with_cases(batch, [15, 10, 16]), tmp_path / "logs")
    assert found.smallest["cases"] == [10] and found.reason == "ZeroDivisionError: on two lines" and found.tries <= MOST_TRIES


def test_cases_are_left_out_down_to_one():
    assert list(fewer_cases([1, 2, 3])) == [[3], [1, 2], [2, 3], [1, 3], [1, 2]]
    assert list(fewer_cases([1])) == list(fewer_cases([])) == []


def changed(path, **fields):
    path.write_text(json.dumps({name: value for name, value in (json.loads(path.read_text()) | fields).items()
                                if value is not None}))
    return path


@pytest.mark.parametrize(("fields", "said"), [
    ({"version": 99}, "version = 99"), ({"design": "9.9.9"}, "design = '9.9.9'"), ({"kind": "other"}, "kind = 'other'"),
    ({"cases": None}, "cases is missing"), ({"settings": 3}, "settings is missing or no dict"),
    ({"config": {"tile": 9}}, "tile = 9"), ({"config": {"tiel": 8}}, "tiel")])
def test_files_that_are_not_replayed(planted, fields, said, tmp_path):
    (batch,) = planted.batches(1, 1)
    save_batch(batch, tmp_path / "one.json", "thirteen")
    assert load_batch(tmp_path / "one.json", KINDS) == (batch, planted)
    with pytest.raises(CampaignError, match=".") as error:
        command.main(["--replay", str(changed(tmp_path / "one.json", **fields))])
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("arguments", "said"), [
    (["--kind", "other"], "--kind other: known are encoders"), (["--seed", "1,x"], "'x' is no seed"),
    (["--seed", ""], "no seed"), (["--seed", "5-2"], "'5-2' is no seed"), (["--count", "0"], "--count 0"),
    ([], "no end is given"),
    (["--quick", "--seed", "1"], "give one of them"), (["--jobs", "2", "--scheduler", "tcp://127.0.0.1:9"], "give one of them"),
    (["--replay", "nowhere.json"], "--replay nowhere.json"), (["--quick", "--ledger", __file__], "is no ledger")])
def test_what_is_refused(arguments, said):
    with pytest.raises(CampaignError, match=".") as error:
        command.main(arguments)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_lists_of_seeds():
    assert parse_seeds("3,1-2,9", "--seed") == {1, 2, 3, 9}
    assert seeds_text({9, 1, 3, 2}) == "1-3,9" and seeds_text(()) == "" and parse_seeds("", "seeds") == set()


def test_a_ledger_goes_on(planted, tmp_path):
    plan = Plan(kinds={"planted": planted}, seeds=[2, 4, 6], most=2, folder=tmp_path)
    run_campaign(plan, Ledger(tmp_path / "ledger.json", sources="abc"), [].append)
    session, _ = run_campaign(plan, Ledger(tmp_path / "ledger.json"), [].append)
    assert session.kinds["planted"]["seeds"] == "6"
    entry = json.loads((tmp_path / "ledger.json").read_text())["kinds"]["planted"]
    assert (entry["seeds"], entry["batches"], entry["counts"]["programs"]) == ("2,4,6", 3, 120)
    assert run_campaign(plan, Ledger(tmp_path / "ledger.json"), [].append)[0].kinds == {}
    for fields, said in (({"design": "9.9.9"}, "begin another file"), ({"version": 0}, "version = 0"),
                         ({"kinds": 3}, "no ledger")):
        with pytest.raises(CampaignError, match=said):
            Ledger(changed(tmp_path / "ledger.json", **fields))


def test_an_interrupted_run_leaves_a_whole_ledger(planted, tmp_path, monkeypatch):
    def batches(seed, count):
        yield make_batch("planted", seed, CONFIGS["one_pe"], {"loud": 0, "other": 0}, [11 if seed == 3 else 20])

    monkeypatch.setattr(planted, "batches", batches, raising=False)
    with pytest.raises(KeyboardInterrupt):
        run_campaign(Plan(kinds={"planted": planted}, folder=tmp_path), Ledger(tmp_path / "ledger.json"), [].append)
    assert Ledger(tmp_path / "ledger.json").kinds["planted"]["seeds"] == "1-2"


_ENDLESS = """
import sys
from pathlib import Path
from campaign.campaign import Plan, run_campaign
from campaign.ledger import Ledger
from campaign.kind import Tally, make_batch
from support.configs import CONFIGS

class Endless:
    name = "endless"
    def batches(self, seed, count):
        yield make_batch(self.name, seed, CONFIGS["one_pe"], {}, [seed])
    def run(self, batch, folder):
        return Tally(counts={"programs": 40})

folder = Path(sys.argv[1])
run_campaign(Plan(kinds={"endless": Endless()}, folder=folder), Ledger(folder / "ledger.json"))
"""


def test_a_killed_run_leaves_a_whole_ledger(tmp_path):
    ledger = tmp_path / "ledger.json"
    with subprocess.Popen([sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_ENDLESS}", str(tmp_path)],
                          stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not (ledger.exists() and len(ledger.read_text()) > 300):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    entry = Ledger(ledger).kinds["endless"]
    assert entry["batches"] == len(parse_seeds(entry["seeds"], "seeds")) > 0
    assert entry["counts"]["programs"] == 40 * entry["batches"]


def check_batch(kind, batch, folder):
    folder.mkdir()
    tally = kind.run(json.loads(json.dumps(batch)), folder)
    assert tally.failures == []
    assert tally.counts["violations"] == tally.counts["hangs"] == 0 < tally.counts["cycles"]
    return tally.counts


@pytest.mark.builds
def test_encoders_back_to_back(tmp_path):
    """On the simulator of `test_clusters_system`."""
    config, rng = CLUSTERS[2], random.Random(3)
    small = {"layers": 1, "words": [4, 2], "heads": 1, "hidden": 8, "ffn": 9, "length": None, "alike": True}
    batch = make_batch("encoders", 1, config, CALM, [draw_spec(config, rng) | small for _ in range(2)])
    counts = check_batch(Encoders(), batch, tmp_path / "run")
    assert counts["encoders"] == 2 and counts["values"] > 3000


@pytest.mark.builds
def test_moments_of_every_sort(tmp_path):
    config, rng = CLUSTERS[2], random.Random(4)
    spec = draw_spec(config, rng) | {"layers": 1, "words": [2], "heads": 1, "hidden": 8, "ffn": 8, "length": None}
    cases = [{"at": 0.3, "what": "reset"}, {"at": 0.6, "what": "pin"}, *(
        {"at": at, "what": what, "response": response, "channel": channel} for at, what, response, channel in (
            (0.2, "read", 2, 0), (0.1, "read", 3, 2), (0.0, "fetch", 2, 1), (0.1, "write", 3, 31), (1.0, "read", 3, 0)))]
    counts = check_batch(Moments(), make_batch("moments", 1, config, CALM | {"encoder": spec}, cases), tmp_path / "run")
    assert counts["moments"] == 6 and counts["runs"] == 9


@pytest.mark.slow
def test_hostile_programs_of_a_batch(tmp_path):
    settings = CALM | {"base": 0x8000_0000, "programs": 12, "seed": 5}
    counts = check_batch(Hostile(), make_batch("hostile", 1, CLUSTERS[2], settings, list(range(12))), tmp_path / "run")
    assert counts["programs"] == 12 and len([name for name in counts if name.startswith("ended")]) >= 2
