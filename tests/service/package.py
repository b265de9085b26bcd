# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian package builds from the checkout, and lintian has no complaint; the RPM spec is well-formed."""

import os
import shutil
import subprocess

from harness import package, paths
from harness.case import check, run


def it_builds():
    folder = package.build()
    check(package.package(folder).stat().st_size > 100_000, "the package is next to empty")


def lintian_is_content():
    done = subprocess.run(["lintian", "--fail-on=error,warning", "--allow-root", str(package.changes(package.build()))],
                          text=True, capture_output=True, check=False)
    print("".join(f"# {line}\n" for line in (done.stdout + done.stderr).splitlines()), end="")
    check(done.returncode == 0, "lintian found errors or warnings")


def everything_has_its_place():
    """What has to be where other programs look for it."""
    listing = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(package.package(package.build()))], check=True,
                             capture_output=True).stdout
    names = set(subprocess.run(["tar", "-t"], input=listing, check=True, capture_output=True).stdout.decode().split())
    for name in ("usr/sbin/migrationd", "usr/bin/migrationctl", "lib/systemd/system/migrationd.service",
                 "usr/lib/sysusers.d/migrationd.conf", "usr/lib/tmpfiles.d/migrationd.conf",
                 "usr/lib/systemd/catalog/migrationd.catalog", "usr/share/dbus-1/system.d/org.migrationd1.conf",
                 "usr/share/dbus-1/system-services/org.migrationd1.service",
                 "usr/share/dbus-1/interfaces/org.migrationd1.xml",
                 "usr/share/polkit-1/actions/org.migrationd1.policy", "usr/share/polkit-1/rules.d/60-migrationd.rules",
                 "usr/share/bash-completion/completions/migrationctl", "usr/share/zsh/site-functions/_migrationctl",
                 "usr/share/fish/vendor_completions.d/migrationctl.fish", "usr/share/man/man8/migrationd.8.gz",
                 "usr/share/man/man1/migrationctl.1.gz", "usr/share/man/man5/migrationd.conf.5.gz",
                 "usr/share/man/man5/migrationd-profile.5.gz", "usr/share/man/man5/org.migrationd1.5.gz",
                 "etc/migrationd/migrationd.conf"):
        check(f"./{name}" in names, f"{name} is not in the package")


def the_spec_parses():
    """With stand-ins for the macros of the distribution, which are not here."""
    names = ("meson", "meson_build", "meson_install", "sysusers_create_compat", "tmpfiles_create", "systemd_post",
             "systemd_preun", "systemd_postun_with_restart", "_unitdir", "_sysusersdir", "_tmpfilesdir")
    check(shutil.which("rpmspec") is not None, "rpmspec is not installed")
    done = subprocess.run(["rpmspec", *[f"--define={n} {n}" for n in names], "--parse",
                           str(paths.SOURCE / "packaging/migrationd.spec")],
                          text=True, capture_output=True, check=False, env=os.environ | {"HOME": "/nonexistent"})
    check(done.returncode == 0 and "%files" in done.stdout and "%{" not in done.stdout, done.stderr + done.stdout)


run(it_builds, lintian_is_content, everything_has_its_place, the_spec_parses)
