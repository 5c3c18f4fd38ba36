#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What make install and make deb put where: a program that finds its parts, pages and completions that say all options,
# headers and libraries that a plug-in and a C program are compiled with, and packages that lintian finds no error in.
# usage: release_install.sh TANDEM
set -euo pipefail
tandem=$(realpath "$1")
cd "$(dirname "$0")/.."
build=$(realpath --relative-to=. "$(dirname "$tandem")")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
make_quietly() { # with the flags of `make check`, so that nothing is compiled again there
    env -u MAKEFLAGS -u MFLAGS -u CFLAGS -u SANITIZE -u RELEASE -u PKG_CONFIG_PATH -u PKG_CONFIG_SYSROOT_DIR make -s --no-print-directory \
        WERROR=-Werror BUILD="$build" "$@" \
        >"$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
}
make_quietly install DESTDIR="$folder/root" PREFIX=/opt/tandem
root=$folder/root/opt/tandem
cp docs/examples/prompts_alone.c docs/examples/by_prompt.c docs/examples/library.c "$folder/"
parts=$(cd "$build" && ls tandem-*.so 2>/dev/null || true)
cd "$folder"

# The program runs, and its parts lie where it looks for them.
"$root/bin/tandem" run default --no-db --set workload.requests=200 >/dev/null
for part in $parts; do [ -f "$root/lib/tandem/$part" ]; done
if [ -f "$root/lib/tandem/tandem-mpi.so" ] && command -v mpirun >/dev/null; then
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun --oversubscribe -n 2 "$root/bin/tandem" sweep default --no-db --quiet \
        --set workload.requests=100 --vary seed=1,2 >ranks.txt
    grep -q '2 points, 2 runs' ranks.txt
fi

# A plug-in and a program see nothing of the source tree.
export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$folder/root LD_LIBRARY_PATH=$root/lib
for plugin in prompts_alone by_prompt; do
    cc -shared -fPIC -Wall -Werror $(pkg-config --cflags tandem-plugin) $plugin.c -o $plugin.so -lgsl
    "$root/bin/tandem" describe $plugin.so --plugin $plugin.so >described.txt
    [ -s described.txt ]
done
"$root/bin/tandem" run default --no-db --plugin prompts_alone.so --set policy.batching=prompts_alone --set workload.requests=100 >/dev/null
cc -std=c99 -Wall -Wextra -Werror library.c $(pkg-config --cflags --libs tandem) -o library
./library | tail -1 | grep -q 'SLO met'

# Each command has a page with each of its options, and completions have them, too.
for command in run sweep plan list describe trace profile model report compare validate calibrate engine; do
    page=$root/share/man/man1/tandem-$command.1
    "$root/bin/tandem" $command --help | sed -n 's/^  \(-[-a-z]*\).*/\1/p' | while read -r option; do
        grep -qF -- "${option//-/\\-}" "$page" || { echo "$page lacks $option"; exit 1; }
        grep -q -- " $option" "$root/share/bash-completion/completions/tandem"
        grep -q -- "'\*$option\[" "$root/share/zsh/site-functions/_tandem"
        grep -q -- "from $command' -[ls] ${option##*-}" "$root/share/fish/vendor_completions.d/tandem.fish" || [ "${option#--*-}" != "$option" ]
    done
    [ ! -x "$(command -v man)" ] || [ -z "$(MANROFFSEQ='' man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)" ] || { echo "$page has warnings"; exit 1; }
done
completed() { # WORD...: what the last of them may be
    PATH=$root/bin:$PATH bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tandem; echo "${COMPREPLY[*]}"' \
        "$root/share/bash-completion/completions/tandem" "$@"
}
[ "$(completed tandem cal)" = calibrate ]
[ "$(completed tandem engine be)" = bench ]
[ "$(completed tandem report --no)" = --no-headroom ]
completed tandem run defa | grep -qw default
for shell in zsh fish; do
    script=$(ls "$root"/share/$shell/*/*tandem*)
    ! command -v $shell >/dev/null || $shell -n "$script"
done

# What it has brought it takes away.
cd "$OLDPWD"
make_quietly uninstall DESTDIR="$folder/root" PREFIX=/opt/tandem
[ -z "$(find "$root" ! -type d)" ] || { find "$root" ! -type d; echo "uninstall leaves these"; exit 1; }

command -v dpkg-shlibdeps >/dev/null || { echo "skipped: dpkg-dev is not installed, so no packages are built"; exit 0; }
make_quietly deb
dpkg-deb -x "$build"/deb/tandem_*.deb "$folder/unpacked"
"$folder/unpacked/usr/bin/tandem" --version >/dev/null
dpkg-deb -f "$build"/deb/tandem_*.deb Depends | grep -q 'libgsl27.*libsqlite3-0'
command -v lintian >/dev/null || { echo "skipped: lintian is not installed"; exit 0; }
lintian --allow-root --fail-on error --suppress-tags initial-upload-closes-no-bugs "$build"/deb/*.deb
