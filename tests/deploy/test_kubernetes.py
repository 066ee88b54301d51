"""The Kubernetes manifests: what the API server would take, and what hangs together across them."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import Settings
from tests.deploy.composed import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.30", "1.34")


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(FOLDER.glob("*.yaml")):
        if path.name not in ("kustomization.yaml", "secret.yaml"):
            for each in yaml.safe_load_all(path.read_text()):
                yield path.name, each


ALL = list(manifests())
PODS = [(each["metadata"]["name"], each["spec"]["template"]) for _, each in ALL if "template" in each.get("spec", {})]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "manifest", [each for _, each in ALL], ids=lambda each: f"{each['kind']} {each['metadata']['name']}"
)
def test_a_manifest_has_the_fields_of_its_kind_and_no_others(manifest: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_is_not_known_would_be_found() -> None:
    (deployment,) = (
        each for _, each in ALL if each["metadata"]["name"] == "regionwise-api" and each["kind"] == "Deployment"
    )
    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_what_is_applied_is_all_that_is_there_but_the_secret() -> None:
    applied = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    assert set(applied["resources"]) == {name for name, _ in ALL} - {"secret.example.yaml"}
    images = {container["image"] for _, pod in PODS for container in pod["spec"]["containers"]}
    assert images == {each["name"] for each in applied["images"]} == {"regionwise-api", "regionwise-worker"}


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_a_pod_is_confined_and_may_write_where_it_must(name: str, pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    whole = spec["securityContext"]
    assert (whole["runAsNonRoot"], whole["runAsUser"], whole["runAsGroup"]) == (True, 10001, 10001)
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # REGIONWISE_PORT=tcp://... of a service called so would be no port
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= set(container["resources"])
    volumes = {each["name"] for each in spec["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == volumes
    assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}


@pytest.mark.parametrize(("name", "pod"), PODS, ids=[name for name, _ in PODS])
def test_every_setting_that_a_pod_is_given_is_one(name: str, pod: dict[str, Any]) -> None:
    given = {each["name"] for each in pod["spec"]["containers"][0].get("env", ())}
    for _, each in ALL:
        given |= set(each.get("data", ())) | set(each.get("stringData", ()))
    known = {f"REGIONWISE_{field.upper()}" for field in Settings.model_fields}
    assert {each for each in given if each.startswith("REGIONWISE_")} <= known


def test_selectors_find_the_pods_that_they_mean_and_no_others() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS}

    def found(selector: dict[str, Any]) -> set[str]:
        wanted = selector.get("matchLabels", selector if "matchExpressions" not in selector else {})
        rules = selector.get("matchExpressions", ())
        return {
            name
            for name, has in labels.items()
            if all(has.get(key) == value for key, value in wanted.items())
            and all(has.get(rule["key"]) in rule["values"] for rule in rules)
        }

    for _, each in ALL:
        selector, name = each.get("spec", {}).get("selector"), each["metadata"]["name"]
        match each["kind"]:
            case "Service":
                assert found(selector) == {"regionwise-api"}
            case "Deployment":
                assert found(selector) == {name}
            case "PodDisruptionBudget":
                workers = {"regionwise-worker-gpu", "regionwise-worker-cpu"}
                assert found(selector) == ({"regionwise-api"} if name == "regionwise-api" else workers)


def test_a_secret_has_no_default_and_every_queue_is_taken() -> None:
    (secret,) = (each["stringData"] for _, each in ALL if each["kind"] == "Secret")
    assert [name for name, value in secret.items() if value] == ["REGIONWISE_BROKER_URL"]
    queues = [
        each["value"].split(",")
        for _, pod in PODS
        for each in pod["spec"]["containers"][0].get("env", ())
        if each["name"] == "REGIONWISE_QUEUES"
    ]
    assert {name for each in queues for name in each} == {"rounds", "cpu", "gpu"}


def test_the_settings_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, each in ALL:
        for name, value in {**each.get("data", {}), **each.get("stringData", {})}.items():
            monkeypatch.setenv(name, value)
    settings = Settings()
    assert not settings.embedded
    assert settings.resolved_blob_url.startswith("s3://")
