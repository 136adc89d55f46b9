# shellcheck shell=bash
# Makes the root of a Debian guest. Who sources this is root, and has set `cache`, where the
# guest's kernel is unpacked, and `scratch`, a directory for what is left on the way.

# Runs a program, and shows what it said only where it fails.
quietly() {
    "$@" >"${scratch:?}/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        return 1
    }
}

# make_debian RELEASE PACKAGES TREE: what debootstrap leaves, with the modules of the guest's kernel.
# No unit, no fstab and no user is added.
make_debian() {
    local release=$1 packages=$2 tree=$3 mirror kernel
    # Modules that no virtual disk needs; they are three quarters of all.
    local without=(drivers/gpu drivers/iio drivers/infiniband drivers/media drivers/net net sound)

    # The mirror that this machine already uses for Debian itself.
    # shellcheck disable=SC2016 # the format is for apt-get
    mirror=$(apt-get indextargets --format '$(REPO_URI)' \
        'Identifier: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
    quietly debootstrap --variant=minbase --include="$packages" "$release" "$tree" "$mirror"
    rm -rf "$tree"/var/cache/apt/archives/*.deb "$tree"/var/lib/apt/lists/* \
        "$tree"/usr/share/{doc,locale,man}

    kernel=$(basename "${cache:?}"/kernel/lib/modules/*)
    mkdir -p "$tree/usr/lib/modules"
    tar -C "$cache/kernel/lib/modules" "${without[@]/#/--exclude=$kernel/kernel/}" -cf - "$kernel" |
        tar -C "$tree/usr/lib/modules" -xf -
    depmod -b "$tree" "$kernel"
}

# keep_guest MADE NAME: gives what was made its name in the cache, in place of an older one.
keep_guest() {
    # Whoever calls through sudo must be able to remove what this leaves.
    [ -z "${SUDO_UID-}" ] || chown -R "$SUDO_UID:${SUDO_GID:?}" "$1"
    rm -rf "${cache:?}/$2"
    mv -T "$1" "$cache/$2"
}
