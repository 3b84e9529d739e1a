"""The record beside the packages of both architectures: who built them, of which commit, and that it is signed."""
import hashlib
import json
import pathlib
import re

from scratch import must, packages, repository
from support.agent import ROOT
from support.check import run_checks

FOLDERS = {"": "amd64", "arm64": "arm64"}
LOCK = ROOT / "packaging/static_dependencies.lock"


def record(folder: str) -> dict:
    return json.loads(packages("*.provenance.json", folder).read_text())


def sha256_of(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def it_has_the_digest_of_every_package() -> None:
    for folder in FOLDERS:
        statement = record(folder)
        assert statement["_type"] == "https://in-toto.io/Statement/v1", statement
        assert statement["predicateType"] == "https://slsa.dev/provenance/v1", statement
        listed = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
        made = [packages(pattern, folder) for pattern in
                ("*.deb", "*.rpm", "*.tar.gz", "msp-agent-textfile*.deb", "msp-agent-textfile*.rpm")]
        assert listed == {path.name: sha256_of(path) for path in made}, listed


def it_says_of_what_they_are_made_and_who_made_them() -> None:
    commit = must("git", "-C", str(ROOT), "-c", f"safe.directory={ROOT}", "rev-parse", "HEAD").strip()
    for folder, architecture in FOLDERS.items():
        predicate = record(folder)["predicate"]
        definition, run = predicate["buildDefinition"], predicate["runDetails"]
        sources = {source["name"]: source for source in definition["resolvedDependencies"]}
        assert sources["source"]["digest"] == {"gitCommit": commit}, sources
        assert sources["source"]["annotations"]["state"] in ("clean", "changed"), sources
        built = must("sh", str(ROOT / "packaging/static_dependencies.sh"), "--arch",
                     {"arm64": "aarch64"}.get(architecture, "x86_64"), "--where").strip()
        assert sources["packaging/static_dependencies.lock"]["digest"] == \
            {"sha256": sha256_of(pathlib.Path(built) / "lock")}, sources
        assert re.search(r"\d+\.\d+", sources["compiler"]["annotations"]["version"]), sources
        parameters = definition["externalParameters"]
        assert parameters["architecture"] == architecture, parameters
        assert parameters["command"].startswith("sh packaging/packages.sh --"), parameters
        assert run["builder"]["id"] and run["metadata"]["finishedOn"].endswith("Z"), run


def a_repository_has_it_signed() -> None:
    files = [path for folder in FOLDERS for path in (packages("*.deb", folder), packages("*.provenance.json", folder))]
    with repository(*files) as made:
        for folder in FOLDERS:
            file = made.path / "provenance" / packages("*.provenance.json", folder).name
            assert file.read_bytes() == packages("*.provenance.json", folder).read_bytes(), file
            made.verify(file)


run_checks(it_has_the_digest_of_every_package, it_says_of_what_they_are_made_and_who_made_them,
           a_repository_has_it_signed)
