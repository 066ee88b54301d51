"""The whole report: files that stand alone, figures that come from the runs, and what is missing said."""

import csv
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from service.domain.methods import BASELINES
from tests.workers.report.fake import CLASSES, headroom, trajectory, write_run
from workers.report import write_report
from workers.report.analysis.curves import Entry
from workers.report.page.drawing import colour_of, policy_colour, style_of


@pytest.fixture(scope="module")
def out(fake_runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out")
    assert write_report(fake_runs, folder) == (folder / "report.md").read_text()
    return folder


class Page(HTMLParser):
    """Collects ids, links within the page, and whatever it would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(found["id"] or "")
        if tag == "a":
            self.links.append((found.get("href") or "").removeprefix("#"))
        if tag in ("script", "link", "img", "iframe") or found.get("src"):
            self.loads.append(tag)


def section(markdown: str, title: str) -> str:
    return markdown.split(f"{title}\n", 1)[1].split("\n## ", 1)[0]


def test_the_page_loads_nothing_and_every_link_leads_somewhere(out: Path) -> None:
    page = Page((out / "report.html").read_text())
    assert page.loads == []
    assert len(page.links) > 10
    assert set(page.links) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_every_figure_of_the_markdown_is_a_file_of_svg(out: Path) -> None:
    names = re.findall(r"\]\((figures/[^)]+)\)", (out / "report.md").read_text())
    assert "figures/camvid-lite-camvid-curves.svg" in names
    for name in names:
        assert ET.parse(out / name).getroot().tag.endswith("svg")
    assert {f"figures/{path.name}" for path in (out / "figures").iterdir()} == set(names)


def test_figures_follow_the_page_and_stand_alone_in_ink(out: Path) -> None:
    assert "currentColor" in (out / "report.html").read_text()
    assert "currentColor" not in (out / "figures" / "camvid-lite-camvid-curves.svg").read_text()


def test_the_same_runs_give_the_same_bytes(fake_runs: list[Path], out: Path, tmp_path: Path) -> None:
    write_report(fake_runs, tmp_path)
    for path in out.rglob("*.*"):
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes()


def test_results_have_a_row_for_every_measurement(out: Path) -> None:
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    # 4 methods and a variant x 3 seeds x 4 budgets, and 3 x 3 x 4 of which one is not measured yet.
    assert len(rows) == 60 + 35
    one = next(
        r for r in rows if (r["method"], r["seed"], r["budget"]) == ("entropy", "1", "480") and r["group"] == "main"
    )
    assert (one["dataset"], one["regions"], one["pixels"], one["clicks"]) == ("camvid", "480", "552960", "10080")
    assert one["iou_per_class"].split()[-1] == "-"


def test_a_half_finished_run_says_what_is_missing(out: Path) -> None:
    text = section((out / "report.md").read_text(), "## cityscapes (lite-cityscapes)")
    assert "learned:regionwise (per-pool), seed 0: 3 of 4 budgets measured; left out of areas and tests." in text
    assert "No headroom.json" in text
    assert "### Labels needed" not in text
    assert "nan" not in text
    assert "None" not in text


def test_classes_are_named_by_trajectories_where_there_is_no_headroom(tmp_path: Path) -> None:
    mious = {240: 0.4, 480: 0.5}
    named = [trajectory("random", seed, mious, classes=CLASSES) for seed in range(2)]
    unnamed = [trajectory("entropy", seed, mious) for seed in range(2)]
    assert f"| mIoU | {' | '.join(CLASSES)} |" in write_report([write_run(tmp_path / "run", unnamed + named)], tmp_path)
    told = [trajectory("random", seed, mious, classes=["a|b", *CLASSES[1:]]) for seed in range(2)]
    assert f"| mIoU | a\\|b | {CLASSES[1]} |" in write_report([write_run(tmp_path / "ends", told)], tmp_path)
    assert "| mIoU | class 0 | class 1 |" in write_report([write_run(tmp_path / "unnamed", unnamed)], tmp_path)


def test_seeds_that_lack_the_same_are_named_on_one_line(tmp_path: Path) -> None:
    played = [trajectory("random", 0, {240: 0.4, 480: 0.5, 960: 0.6})]
    played += [trajectory("random", seed, {240: 0.4, 480: 0.5}) for seed in (2, 1)]
    played += [trajectory("random", 3, {240: 0.4})]
    text = write_report([write_run(tmp_path / "run", played)], tmp_path)
    gaps = [line for line in text.splitlines() if "budgets measured" in line]
    assert gaps == [
        "- random (per-pool), seeds 1, 2: 2 of 3 budgets measured.",
        "- random (per-pool), seed 3: 1 of 3 budgets measured; left out of areas and tests.",
    ]


def test_the_complete_run_shows_every_section(out: Path) -> None:
    text = section((out / "report.md").read_text(), "## camvid (lite-camvid)")
    assert re.findall(r"^### (.*)$", text, re.MULTILINE) == [
        "Headroom",
        "mIoU by budget",
        "Class entropy",
        "IoU per class",
        "Area under the budget curve",
        "Paired differences of learned:regionwise",
        "Who beats whom",
        "Labels needed",
        "Ablation: components",
        "Surrogate game",
        "Training of the policies",
    ]


def test_tables_show_figures_worked_out_by_hand(tmp_path: Path) -> None:
    levels = {"learned:regionwise": {100: 0.40, 200: 0.50, 400: 0.54}, "entropy": {100: 0.36, 200: 0.44, 400: 0.53}}
    plays = [
        trajectory(m, s, {b: v + 0.01 * s for b, v in mious.items()}) for m, mious in levels.items() for s in (0, 1)
    ]
    markdown = write_report([write_run(tmp_path / "run", plays, headroom=headroom())], tmp_path / "out")
    assert "| learned:regionwise | 2 | **40.5 ± 0.71** | **50.5 ± 0.71** | **54.5 ± 0.71** |" in markdown
    # Areas: (0.45 x 100 + 0.52 x 200) / 300 and (0.40 x 100 + 0.485 x 200) / 300, and half a point for the seeds.
    # Over the logarithm (0.45 + 0.52) / 2 and (0.40 + 0.485) / 2.
    assert "| learned:regionwise | per-pool | 1 | **50.17 ± 0.71** | **49.00 ± 0.71** | 2 |" in markdown
    assert "| entropy | per-pool | 2 | *46.17 ± 0.71* | *44.75 ± 0.71* | 2 |" in markdown
    log = "**+4.25** (+4.25 to +4.25)"
    assert f"| entropy | per-pool | 2 | **+4.00** | +4.00 to +4.00 | 0.500 | 0.500 | {log} |" in markdown
    # 95% of 0.56 is 0.532. Means 0.505 and 0.545 at 200 and 400; 0.445 and 0.535.
    assert "learned:regionwise needs 335 regions, 15% fewer than the best baseline, entropy, with 393." in markdown
    assert "26.00 points, 26.0 times the seed-to-seed std of 1.00." in markdown
    assert "| full supervision | 56.0 | 60.0 | 60.0 | 60.0 | 50.0 | 40.0 |" in markdown


def test_the_best_baseline_in_hindsight_stands_in_the_table_and_in_the_figure(tmp_path: Path) -> None:
    levels = {
        "learned:blend": {100: 0.40, 200: 0.50, 400: 0.52},
        "entropy": {100: 0.36, 200: 0.44, 400: 0.53},
        "random": {100: 0.38, 200: 0.41, 400: 0.45},
    }
    plays = [
        trajectory(m, s, {b: v + 0.01 * s for b, v in mious.items()}) for m, mious in levels.items() for s in (0, 1)
    ]
    markdown = write_report([write_run(tmp_path / "run", plays)], tmp_path / "out")
    assert (
        "learned:blend is ahead of it at 2 of 3 budgets with an interval that excludes 0, and behind at 1." in markdown
    )
    assert "| 100 | random | 38.5 | 2 | **+2.00** | +2.00 to +2.00 | 0.500 |" in markdown
    assert "| 200 | entropy | 44.5 | 2 | **+6.00** | +6.00 to +6.00 | 0.500 |" in markdown
    assert "| 400 | entropy | 53.5 | 2 | **-1.00** | -1.00 to -1.00 | 0.500 |" in markdown
    figure = tmp_path / "out" / "figures" / "camvid-lite-camvid-curves.svg"
    said = "best baseline at each budget, in hindsight"
    assert said in figure.read_text()
    write_report([write_run(tmp_path / "one", plays[:4])], tmp_path / "out")
    assert said not in figure.read_text()


def test_what_is_missing_names_our_policies_and_the_paper_s(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [trajectory("entropy", 0, {100: 0.4, 200: 0.5})])
    said = [line for line in write_report([run], tmp_path).splitlines() if " not played: " in line]
    assert said[0].startswith("- Baselines not played: random, bald, ")
    assert said[1:] == [
        "- Learned methods and controls not played: learned:shipped, learned-untrained:blend, learned:blend, learned:paper.",
        "- References not played: greedy-oracle, influence, influence-oracle.",
    ]


def test_an_uninformative_data_set_is_announced_in_large_letters(tmp_path: Path) -> None:
    plays = [trajectory("entropy", 0, {100: 0.4, 200: 0.5})]
    run = write_run(tmp_path / "run", plays, headroom=headroom(std=0.06))
    assert "**UNINFORMATIVE: a headroom of 26.00 points is less than 5 std (5 x 6.00).**" in write_report(
        [run], tmp_path
    )
    assert 'class="alarm"' in (tmp_path / "report.html").read_text()


def test_what_a_run_says_is_escaped_in_the_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [trajectory("learned:<script>", 0, {100: 0.4, 200: 0.5})])
    write_report([run], tmp_path)
    assert Page((tmp_path / "report.html").read_text()).loads == []


@pytest.mark.parametrize("mious", [{}, {100: 0.4}])
def test_a_run_that_has_just_begun_is_reported(tmp_path: Path, mious: dict[int, float]) -> None:
    run = write_run(tmp_path / "run", [trajectory("entropy", 0, mious)])
    assert "there is not yet both a learned method and a baseline with an area" in write_report([run], tmp_path)


def test_a_run_with_only_headroom_is_reported(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [], headroom=headroom(theta_0={"miou": []}, std=None))
    markdown = write_report([run], tmp_path)
    assert "No trajectory of the main group was played." in markdown
    assert "theta_0 was not measured" in markdown


def test_colours_of_methods_are_fixed_and_differ() -> None:
    policies = ("blend", "shipped", "regionwise", "paper", "carried")
    shown = [*(f"learned:{name}" for name in policies), *BASELINES]
    assert len({colour_of(method) for method in shown}) == len(shown)
    assert colour_of("learned-untrained:paper") == colour_of("learned:paper") == policy_colour("paper")
    assert policy_colour("learned:paper") == colour_of("learned:paper") == "#3a7bf0"
    assert colour_of("random") == "#8d99a6"
    assert colour_of("stratified-random") == "#5f7f9e"


def test_every_baseline_has_a_marker_of_its_own() -> None:
    markers = [style_of(Entry(method=name, protocol="per-pool"))["marker"] for name in BASELINES]
    assert len(set(markers)) == len(BASELINES)
    assert "".join(markers[:9]) == "ov^<>Dphx"


def test_the_best_learned_method_is_held_against_the_best_baseline_of_its_protocol(tmp_path: Path) -> None:
    low, high = {500: 0.3, 1000: 0.4}, {500: 0.5, 1000: 0.6}
    plays = [trajectory("learned:paper", seed, high) for seed in range(2)]
    plays += [trajectory("learned:paper", seed, low, protocol="global") for seed in range(2)]
    plays += [trajectory("random", seed, low) for seed in range(2)]
    plays += [trajectory("entropy", seed, {500: 0.7, 1000: 0.8}, protocol="global") for seed in range(2)]
    text = write_report([write_run(tmp_path / "run", plays)], tmp_path / "out")
    assert ", per-pool: learned:paper is the best learned method by area, random the best baseline" in text
    assert ", global: learned:paper is the best learned method by area, entropy the best baseline" in text
    alone = [*plays[:4], trajectory("entropy", 7, low)]
    text = write_report([write_run(tmp_path / "alone", alone)], tmp_path / "out")
    assert "is the best learned method by area; it shares no seed with a baseline." in text


def test_policies_are_apart_by_the_game_they_were_trained_on(tmp_path: Path) -> None:
    plays = [trajectory(method, 0, {100: 0.4, 200: 0.5}) for method in ("learned:paper", "entropy")]
    folder = write_run(tmp_path / "run", plays)
    (folder / "policies").mkdir()
    trained = {
        "paper": ([-2.0, 1.0, 3.0], 1, {"game": "real", "group": "main"}),
        "regionwise": ([*([30.0] * 10), *([32.5] * 10)], None, {"game": "surrogate", "group": "main"}),
        "no-twin": ([29.0, 31.0], 0, {"game": "surrogate", "group": "ablation:elements"}),
    }
    for name, (returns, best, settings) in trained.items():
        record = {"name": name, "returns": returns, "best_episode": best, "settings": settings}
        (folder / "policies" / f"{name}.json").write_text(json.dumps(record))
    # Since there is one game only, a record says by itself whether its f was trained as a whole.
    record = {"name": "carried", "returns": [40.0, 42.0], "game": "frozen", "settings": {"group": "main"}}
    (folder / "policies" / "carried.json").write_text(json.dumps(record))
    markdown = write_report([folder], tmp_path / "out")
    # A tenth of 20 episodes is two, of two or three it is one.
    assert "| paper | real | Return | 3 | -2.0 | 3.0 | 2 |" in markdown
    assert "| regionwise | surrogate | Mean mIoU | 20 | 30.0 | 32.5 | – |" in markdown
    assert "| no-twin | surrogate | Mean mIoU | 2 | 29.0 | 31.0 | 1 |" in markdown
    assert "| carried | frozen | Mean mIoU | 2 | 40.0 | 42.0 | – |" in markdown
    figures = tmp_path / "out" / "figures"
    real, surrogate = (figures / f"camvid-lite-camvid-training-{game}.svg" for game in ("real", "surrogate"))
    assert "paper" in real.read_text()
    assert "regionwise" not in real.read_text()
    drawn = surrogate.read_text()
    assert "regionwise" in drawn
    assert "ablations" in drawn
    assert "no-twin" not in drawn


def test_both_results_of_every_method_stand_beside_their_ranks(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [trajectory("entropy", 0, {100: 0.4, 200: 0.5})])
    results = {"entropy": (38.0, 31.7), "class-balanced": (39.2, 32.25), "random": (38.5, 30.08)}
    points = [
        {"name": name, "kind": "strategy", "surrogate": surrogate, "real": real}
        for name, (surrogate, real) in results.items()
    ]
    (folder / "surrogate-home.json").write_text(json.dumps({"game": "at home", "points": points}))
    markdown = write_report([folder], tmp_path / "out")
    rows = [
        line
        for line in markdown.splitlines()
        if line.startswith(("| class-balanced | 32", "| entropy | 31", "| random | 30"))
    ]
    assert rows == [
        "| class-balanced | 32.25 | 1 | 39.20 | 1 |",
        "| entropy | 31.70 | 2 | 38.00 | 3 |",
        "| random | 30.08 | 3 | 38.50 | 2 |",
    ]
