//! Holds nothing: this package exists for the archive that the build script of `librocksdb-sys` leaves behind.
