"""Generates a client in each language from the contract, compiles it, and runs a program with it.

openapi-generator writes five of the clients, and NSwag the one in C#. Their libraries come from
Debian, npm, PyPI and openapi-generator's own archive. The generated code is not changed.
"""

import glob
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NODE_MODULES = HERE / "node_modules"
TOOLS = HERE.parent.parent / ".venv-clients"
TOOLS_HINT = "make client-tools"
GENERATOR = TOOLS / "bin" / "openapi-generator-cli"
ANNOTATIONS = Path("/usr/share/java/geronimo-annotation-1.3-spec.jar")
MULTIPART = [Path(f"/usr/share/java/{name}.jar") for name in ("httpmime", "httpcore")]
GUZZLE = Path("/usr/share/php/GuzzleHttp/autoload.php")
NSWAG = NODE_MODULES / "nswag" / "bin" / "binaries" / "Win"
TSC = NODE_MODULES / ".bin" / "tsc"
AMOUNT, NUMBER = 12345678.91, 3_000_000_000
SECONDS = 300  # for one command

Command = list[str | Path]


class ClientError(Exception):
    """A client that cannot be generated, compiled or run. The message is the tool's output."""


@dataclass(frozen=True)
class Language:
    """How a client is made.

    Attributes
    ----------
    needs : dict of str to str
        What installs each program, or each file that a pattern finds.
    build : callable
        Takes the contract and a folder, writes the client and a program with it into the folder,
        and returns the command that runs the program.
    """

    needs: dict[str, str]
    build: Callable[[Path, Path], Command]

    def missing(self) -> list[str]:
        """Return what has to be installed first."""
        absent = [
            how
            for name, how in self.needs.items()
            if not (glob.glob(name) if "/" in name else shutil.which(name))
        ]
        return list(dict.fromkeys(absent))


def answered(language: Language, contract: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    """Generate, compile and run a client, and return what its program printed.

    Raises
    ------
    ClientError
        If one of the three fails.
    """
    output = run([*language.build(contract, folder), *arguments], folder)
    return dict(json.loads(output))


def run(command: Command, folder: Path) -> str:
    """Run a command, and return its output.

    Raises
    ------
    ClientError
        If it fails.
    """
    process = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if process.returncode:
        output = (process.stdout + process.stderr).strip()
        raise ClientError(f"{Path(command[0]).name} failed:\n{output[-3_000:]}")
    return process.stdout


def generate(contract: Path, folder: Path, generator: str, *options: str) -> None:
    """Write a client with openapi-generator."""
    files = "apiTests=false,modelTests=false,apiDocs=false,modelDocs=false"
    command: Command = [GENERATOR, "generate", "-i", contract, "-g", generator, "-o", folder]
    run([*command, "--global-property", files, *options], folder)


def build_java(contract: Path, folder: Path) -> Command:
    options = "openApiNullable=false,useJakartaEe=false,dateLibrary=java8"
    generate(contract, folder, "java", "--library=native", f"--additional-properties={options}")
    shutil.copy(HERE / "java" / "Main.java", folder)
    (archive,) = TOOLS.glob("lib/python*/site-packages/openapi_generator_cli/*.jar")
    libraries = ":".join(map(str, [archive, ANNOTATIONS, *MULTIPART]))
    sources = [*(folder / "src" / "main" / "java").rglob("*.java"), folder / "Main.java"]
    run(["javac", "-nowarn", "-d", folder / "classes", "-cp", libraries, *sources], folder)
    return ["java", "-cp", f"{folder / 'classes'}:{libraries}", "Main"]


def build_go(contract: Path, folder: Path) -> Command:
    place = ("--git-host=example.com", "--git-user-id=leadscore", "--git-repo-id=client")
    generate(contract, folder, "go", *place, "--additional-properties=packageName=leadscore")
    (folder / "program").mkdir()
    shutil.copy(HERE / "go" / "main.go", folder / "program")
    run(["go", "vet", "./..."], folder)
    run(["go", "build", "-o", "client", "./program"], folder)
    return [folder / "client"]


def build_typescript(contract: Path, folder: Path) -> Command:
    generate(contract, folder, "typescript-fetch", "--additional-properties=npmName=leadscore")
    shutil.copy(HERE / "typescript" / "main.ts", folder)
    options = ["--ignoreConfig", "--strict", "--target", "es2022", "--module", "commonjs"]
    run([TSC, *options, "--outDir", "dist", "main.ts"], folder)
    return ["node", folder / "dist" / "main.js"]


def build_python(contract: Path, folder: Path) -> Command:
    options = "packageName=leadscore_client"
    generate(contract, folder, "python", f"--additional-properties={options}")
    return [TOOLS / "bin" / "python", "-W", "error", HERE / "python" / "main.py"]


def build_php(contract: Path, folder: Path) -> Command:
    generate(contract, folder, "php", "--additional-properties=invokerPackage=Leadscore")
    shutil.copy(HERE / "php" / "main.php", folder)
    for file in sorted((folder / "lib").rglob("*.php")):
        run(["php", "--syntax-check", file], folder)
    return ["php", "-d", "display_errors=stderr", folder / "main.php"]


def build_csharp(contract: Path, folder: Path) -> Command:
    options = ["/namespace:Leadscore", "/classname:LeadscoreClient", "/JsonLibrary:NewtonsoftJson"]
    command: Command = ["mono", NSWAG / "NSwag.exe", "openapi2csclient", f"/input:{contract}"]
    run([*command, "/output:Client.cs", *options], folder)
    shutil.copy(NSWAG / "Newtonsoft.Json.dll", folder)
    system = ("Net.Http", "ComponentModel.DataAnnotations", "Runtime.Serialization")
    libraries = [f"-r:System.{name}" for name in system] + ["-r:Newtonsoft.Json.dll"]
    sources: Command = ["Client.cs", HERE / "csharp" / "Main.cs"]
    run(["mcs", "-langversion:latest", "-out:client.exe", *libraries, *sources], folder)
    return ["mono", folder / "client.exe"]


OF_TOOLS = {str(GENERATOR): TOOLS_HINT}
LANGUAGES = {
    "Java": Language(
        OF_TOOLS
        | {
            "javac": "default-jdk-headless",
            str(ANNOTATIONS): "libgeronimo-annotation-1.3-spec-java",
        }
        | {str(file): "libhttpmime-java" for file in MULTIPART},
        build_java,
    ),
    "Go": Language(OF_TOOLS | {"go": "golang-go"}, build_go),
    "TypeScript": Language(OF_TOOLS | {str(TSC): TOOLS_HINT, "node": "nodejs"}, build_typescript),
    "Python": Language(OF_TOOLS, build_python),
    "PHP": Language(
        OF_TOOLS
        | {"php": "php-cli", str(GUZZLE): "php-guzzlehttp-guzzle"}
        | {f"/etc/php/*/cli/conf.d/*-{name}.ini": f"php-{name}" for name in ("curl", "mbstring")},
        build_php,
    ),
    "C#": Language(
        {
            str(NSWAG): TOOLS_HINT,
            "mono": "mono-runtime",
            "mcs": "mono-mcs",
            "/usr/lib/mono/4.5/System.Net.Http.dll": "libmono-cil-dev",
        },
        build_csharp,
    ),
}


def differences(seen: dict[str, Any], lead_id: str) -> list[str]:
    """Return the values that a client printed and that are not the expected ones, as sentences."""
    expected = {
        "lead_id": lead_id,
        "flat_score": seen["score"],
        "last_score": seen["score"],
        "card": seen["model"],
        "accepted": 2,
        "outcome_id": str(NUMBER),
        "amount": AMOUNT,
        "budget": AMOUNT,
        "number": NUMBER,
    }
    wrong = [
        f"{name} is {seen[name]!r}, expected {value!r}"
        for name, value in expected.items()
        if seen[name] != value
    ]
    if not str(seen["closed_at"]).startswith("2025-02-20T09:30:00"):
        wrong.append(f"closed_at is {seen['closed_at']!r}")
    return wrong
