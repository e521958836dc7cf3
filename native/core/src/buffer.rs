//! Buffers at addresses that direct I/O takes.

/// Direct I/O wants memory, offsets and lengths at multiples of this.
pub const ALIGNMENT: usize = 4096;

/// A buffer whose bytes start at a multiple of [`ALIGNMENT`].
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl AlignedBuffer {
    /// A buffer of `length` zeros.
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, length }
    }

    /// The first `length` bytes of it.
    pub fn get_mut(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + length.min(self.length)]
    }
}
