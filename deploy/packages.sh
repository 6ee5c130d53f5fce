# The Debian 12 packages that Sluice needs, in one place; sourced by deploy/demo, tests/run and bench/.
#   . deploy/packages.sh; install_packages "$build_packages $run_packages"

build_packages="gcc cmake ninja-build pkg-config libc6-dev
  libhiredis-dev libcurl4-openssl-dev libpq-dev libmsgpack-dev libevent-dev libyaml-dev libjansson-dev
  liblmdb-dev libxxhash-dev libssl-dev libpcre2-dev libutf8proc-dev liblz4-dev zlib1g-dev"
run_packages="redis-server ca-certificates tzdata"
demo_packages="postgresql python3"
test_packages="clang clang-format cmark-gfm git libcmocka-dev postgresql python3 python3-pytest python3-psycopg2 python3-redis
  python3-prometheus-client python3-aiosmtpd python3-yaml zsh fish mandoc systemd
  redis-server nghttp2-server openssl procps util-linux chromium chromium-driver python3-selenium fonts-dejavu-core"
container_packages="podman runc netavark aardvark-dns podman-compose iproute2"
long_packages="mmdebstrap prometheus"
kubernetes_packages="podman runc catatonit etcd-server containerd containernetworking-plugins conntrack dnsmasq-base iptables iproute2
  postgresql redis-server openssl util-linux python3-yaml"
kubernetes_build_packages="golang-go golang-github-modern-go-reflect2-dev dpkg-dev make rsync"
fuzz_packages="libclang-rt-14-dev"
bench_packages="jq nodejs libcmocka-dev python3"

# True where a package, or another one that provides it, is installed.
package_present() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Installs what is missing of the given packages; does nothing, without root and without a network, when nothing is.
install_packages() {
    missing=
    for package in $1; do
        package_present "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing$missing"
    as_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "please install as root: apt-get install$missing" >&2; return 1; }
        as_root=sudo
    fi
    # policy-rc.d is left alone: a Postgres or Redis that the package starts is not used by us.
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends $missing >/dev/null
}
