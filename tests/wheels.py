"""Small wheels, as a registry has them."""

import hashlib
import zipfile


def make_wheel(folder, package, members):
    """A wheel with these members in a folder, and its registry entry."""
    folder.mkdir(parents=True, exist_ok=True)
    name = package.replace("-", "_")
    path = folder / f"{name}-1.0-py3-none-any.whl"
    information = {
        "METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
        for member, content in information.items():
            archive.writestr(f"{name}-1.0.dist-info/{member}", content)
    content = path.read_bytes()
    return {"package": package, "version": "1.0", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
