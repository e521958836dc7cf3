//! LZO1X, as Linux documents its stream (Documentation/staging/lzo.rst).

/// Decompresses a whole stream; None where it is damaged or has more than `output` takes.
///
/// Returns the number of bytes.
pub fn decompress(input: &[u8], output: &mut [u8]) -> Option<usize> {
    let mut stream = Stream { input, at: 0, output, done: 0 };
    // Literals that were copied before an instruction below 16: it says what that means.
    let mut literals = 0;
    if *input.first()? > 17 {
        let count = usize::from(stream.byte()?) - 17;
        stream.literals(count)?;
        literals = count.min(4);
    }
    loop {
        let code = usize::from(stream.byte()?);
        let (length, distance, after) = match code {
            0..=15 if literals == 0 => {
                let length = stream.length(code, 15)? + 3;
                stream.literals(length)?;
                literals = 4;
                continue;
            }
            0..=15 => {
                let high = usize::from(stream.byte()?) << 2;
                let near = high + (code >> 2) + 1;
                if literals == 4 { (3, near + 2048, code & 3) } else { (2, near, code & 3) }
            }
            16..=31 => {
                let length = stream.length(code & 7, 7)? + 2;
                let low = stream.pair()?;
                let distance = ((code & 8) << 11) + (low >> 2);
                if distance == 0 {
                    return Some(stream.done);
                }
                (length, distance + 16384, low & 3)
            }
            32..=63 => {
                let length = stream.length(code & 31, 31)? + 2;
                let low = stream.pair()?;
                (length, (low >> 2) + 1, low & 3)
            }
            _ => {
                let high = usize::from(stream.byte()?) << 3;
                ((code >> 5) + 1, high + ((code >> 2) & 7) + 1, code & 3)
            }
        };
        stream.repeat(distance, length)?;
        stream.literals(after)?;
        literals = after;
    }
}

struct Stream<'a> {
    input: &'a [u8],
    at: usize,
    output: &'a mut [u8],
    done: usize,
}

impl Stream<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.input.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn pair(&mut self) -> Option<usize> {
        Some(usize::from(u16::from_le_bytes([self.byte()?, self.byte()?])))
    }

    /// A length that goes on in further bytes when its own bits are 0.
    fn length(&mut self, bits: usize, most: usize) -> Option<usize> {
        if bits != 0 {
            return Some(bits);
        }
        let mut length = most;
        loop {
            match self.byte()? {
                0 => length = length.checked_add(255)?,
                last => return length.checked_add(usize::from(last)),
            }
        }
    }

    fn literals(&mut self, count: usize) -> Option<()> {
        let from = self.input.get(self.at..self.at.checked_add(count)?)?;
        self.output.get_mut(self.done..self.done.checked_add(count)?)?.copy_from_slice(from);
        self.at += count;
        self.done += count;
        Some(())
    }

    /// Copies bytes of the output, which may reach into themselves.
    fn repeat(&mut self, distance: usize, count: usize) -> Option<()> {
        let start = self.done.checked_sub(distance)?;
        let end = self.done.checked_add(count).filter(|&end| end <= self.output.len())?;
        for at in start..end - distance {
            self.output[at + distance] = self.output[at];
        }
        self.done = end;
        Some(())
    }
}
