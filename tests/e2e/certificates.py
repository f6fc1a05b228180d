"""A certificate authority of the test session, made with the openssl command."""

import subprocess
from pathlib import Path

SERVER_NAMES = "IP:127.0.0.1,DNS:localhost"
KEYS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-newkey", "rsa:2048"],
}


class Certificate:
    def __init__(self, folder: Path, name: str):
        self.cert = folder / f"{name}.pem"
        self.key = folder / f"{name}.key"


class Authority:
    """Signs certificates; .cert is its own."""

    def __init__(self, folder: Path, name="ca"):
        self.folder, self.name = folder, name
        own = Certificate(folder, name)
        self.cert, self.key = own.cert, own.key
        run("req", "-x509", *KEYS["ec"], "-nodes", "-subj", f"/CN=end-to-end {name}", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", own.key, "-out", own.cert)

    def sign(self, name, names=SERVER_NAMES, key="ec", days=2, usage="serverAuth,clientAuth"):
        result = Certificate(self.folder, f"{self.name}-{name}")
        request = result.cert.with_suffix(".csr")
        extensions = result.cert.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage={usage}\nbasicConstraints=critical,CA:FALSE\n")
        run("req", "-new", *KEYS[key], "-nodes", "-subj", f"/CN={name}", "-keyout", result.key, "-out", request)
        run("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-days", str(days),
            "-extfile", extensions, "-out", result.cert)
        return result


def run(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {done.stderr}"
