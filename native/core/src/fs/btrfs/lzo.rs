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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_repeats_are_told_apart() {
        // 4 literals, then 6 bytes from 4 back, then the end.
        let stream = [21, b'a', b'b', b'c', b'd', 0b1010_1100, 0, 17, 0, 0];
        let mut output = [0; 16];
        assert_eq!(decompress(&stream, &mut output), Some(10));
        assert_eq!(&output[..10], b"abcdabcdab");
    }

    #[test]
    fn long_literals_count_in_further_bytes() {
        let mut stream = vec![0, 0, 2];
        stream.extend_from_slice(&[7; 275]);
        stream.extend_from_slice(&[17, 0, 0]);
        let mut output = vec![0; 275];
        assert_eq!(decompress(&stream, &mut output), Some(275));
        assert_eq!(output, [7; 275]);
        assert_eq!(decompress(&stream, &mut output[..274]), None);
    }

    #[test]
    fn damage_is_noticed() {
        let stream = [21, b'a', b'b', b'c', b'd', 0b1010_1100, 0, 17, 0, 0];
        for end in 0..stream.len() {
            assert_eq!(decompress(&stream[..end], &mut [0; 16]), None, "{end} bytes");
        }
        // 9 bytes back where there are 4.
        let stream = [21, b'a', b'b', b'c', b'd', 0b1010_0000, 1, 17, 0, 0];
        assert_eq!(decompress(&stream, &mut [0; 16]), None);
    }
}
