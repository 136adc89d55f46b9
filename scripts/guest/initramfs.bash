# shellcheck shell=bash
# Functions that make a test guest's initramfs. Who sources this has set `kernel`,
# the unpacked kernel, `modules`, the names of those to load, and `initramfs`, the
# directory to fill.

# Copies a program of this machine and the libraries it loads to the same places.
add_program() {
    local file
    for file in "$1" $(ldd "$1" | grep -o '/[^ ]*'); do
        install -D "$file" "${initramfs:?}$file"
    done
}

# Copies the modules and those they need, and lists them in the order of loading.
add_modules() {
    local release module file
    release=$(basename "${kernel:?}"/lib/modules/*)
    for module in "${modules[@]:?}"; do
        modprobe -C /dev/null -d "$kernel" -S "$release" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r file; do
        module=/lib/modules/$(basename "$file" .xz)
        case $file in
            *.xz) xz -dc "$file" >"$initramfs$module" ;;
            *) cp "$file" "$initramfs$module" ;;
        esac
        echo "$module"
    done >"$initramfs/modules"
}

# Copies busybox, and dash as /bin/sh, because busybox's own shell reads scripts otherwise.
add_shell() {
    cp "$(command -v busybox)" "$initramfs/bin/busybox"
    add_program "$(command -v dash)"
    ln -sf "$(command -v dash)" "$initramfs/bin/sh"
}

# Packs the directory into the file $1, everything owned by root.
pack_initramfs() {
    (cd "$initramfs" && find . | cpio --quiet -o -H newc -R 0:0) >"$1"
}
