"""Who takes part in a project, by the command line."""

from tests.maker import Maker
from tests.service.commands.conftest import Run


def test_members_are_added_listed_changed_and_removed_by_name(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    project = make.project("Night streets", open_to_all=False)
    make.annotator("annotator", "ada"), make.annotator("reviewer", "eve")
    ended = run("members", "add", "Night streets", "ada", "eve", *asked)
    assert ended.out.splitlines() == ["ada is a member as annotator.", "eve is a member as reviewer."]
    assert run("members", "change", str(project.id), "ada", "admin", *asked).out == "ada is a member as admin.\n"
    listed = run("members", "list", "Night streets", *asked).out
    assert [line.split()[1:4] for line in listed.splitlines()[3:5]] == [
        ["ada", "admin", "yes"],
        ["eve", "reviewer", "yes"],
    ]
    assert run("members", "remove", "Night streets", "eve", *asked).code == 0
    gone = run("members", "remove", "Night streets", "eve", *asked)
    assert gone.code == 1
    assert gone.err.endswith("Error: eve is no member; `regionwise members list` shows who is.\n")


def test_a_project_is_opened_to_everybody_and_closed(run: Run, asked: tuple[str, ...], make: Maker) -> None:
    make.project("streets", open_to_all=False)
    make.annotator("annotator", "ada")
    assert run("members", "open", "streets", *asked).code == 0
    assert "ada" in run("members", "list", "streets", *asked).out
    assert run("members", "close", "streets", *asked).code == 0
    assert run("users", "add", "late", *asked).code == 0
    assert "late" not in run("members", "list", "streets", *asked).out
