# shellcheck shell=sh
# index.sh: sourced by who calls uv. $python names a Python that pip may be configured for.
# The host's own certificates and pip's own index hold for uv too: both are how a host says whom it trusts.
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-true}"
index=${UV_DEFAULT_INDEX:-${PIP_INDEX_URL:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}}
[ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
