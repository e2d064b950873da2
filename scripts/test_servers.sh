#!/usr/bin/env bash
# Makes the tests' servers, browser and clients available: Debian's packages where they are missing, and the npm
# client that the MQTT door is checked against.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A packages=(
    [/usr/sbin/mosquitto]=mosquitto
    [/usr/bin/mosquitto_pub]=mosquitto-clients
    [/usr/bin/chromium]=chromium
    [/usr/bin/faketime]=faketime
)
missing=()
for program in "${!packages[@]}"; do
    [ -x "$program" ] || missing+=("${packages[$program]}")
done
if [ ${#missing[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then
        run=()
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        run=(sudo -n)
    else
        echo "The tests need Debian packages that are not installed: ${missing[*]}" >&2
        echo "Install them as root, then run make test again:  apt-get install ${missing[*]}" >&2
        exit 1
    fi
    echo "── Debian packages: ${missing[*]}"
    "${run[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${run[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

echo "── The npm client that the MQTT door is checked against"
PATH="$PWD/.venv/bin:$PATH" npm ci --prefix tests/integration/npm --no-audit --no-fund --loglevel error
