"""Encrypts sectors with AES-XTS, tweak plain64, by python3-cryptography.

Standard input holds records: the lengths of the key, of a sector and of the data, and
the first sector's number (four little-endian numbers of 64 bits), the key, the data.
Standard output gets the data of all records, encrypted, at the end."""

import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

source = sys.stdin.buffer
output = []
while header := source.read(32):
    key_bytes, sector_bytes, data_bytes, sector = struct.unpack("<4Q", header)
    key, data = source.read(key_bytes), source.read(data_bytes)
    for offset in range(0, data_bytes, sector_bytes):
        tweak = (sector + offset // 512) % 2**64
        mode = modes.XTS(tweak.to_bytes(16, "little"))
        encryptor = Cipher(algorithms.AES(key), mode).encryptor()
        output.append(encryptor.update(data[offset : offset + sector_bytes]))
sys.stdout.buffer.write(b"".join(output))
