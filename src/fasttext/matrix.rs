//! A matrix of weights, whole or as codes of a product quantiser.

use std::io::BufRead;

use super::read::Reader;

/// The entries of a codebook.
const N_CODES: usize = 256;

/// Rows that are multiplied at a time.
const AT_ONCE: usize = 8;

/// A matrix of weights.
pub(super) enum Matrix {
    /// Every weight is there.
    Dense(Dense),
    /// Each row is a few codes, which stand for a few weights each.
    Quantised(Quantised),
}

pub(super) struct Dense {
    n_rows: usize,
    n_columns: usize,
    weights: Vec<f32>,
}

/// Joulin et al. 2016 (arXiv 1612.03651), section 3.1.
pub(super) struct Quantised {
    n_rows: usize,
    n_columns: usize,
    /// The codes of all rows, those of a row together.
    codes: Vec<u8>,
    parts: Codebooks,
    /// The length of each row as a code, where lengths have a codebook of their own.
    lengths: Option<(Vec<u8>, Codebooks)>,
}

/// What codes stand for, part by part of a row.
struct Codebooks {
    /// The number of weights in a part, the last one perhaps excepted.
    width: usize,
    n_parts: usize,
    weights: Vec<f32>,
}

impl Matrix {
    pub(super) fn read(
        reader: &mut Reader<impl BufRead>,
        is_quantised: bool,
        name: &str,
        dim: usize,
    ) -> Result<Self, String> {
        let has_lengths = is_quantised && reader.flag("whether lengths have codes")?;
        let n_rows =
            reader.n_items(&format!("the number of rows of the {name} matrix"), if is_quantised { 1 } else { 4 })?;
        let n_columns = reader.n_items(&format!("the number of columns of the {name} matrix"), 1)?;
        if n_columns != dim {
            return Err(
                reader.broken(&format!("the {name} matrix has {n_columns} columns, the model {dim} dimensions"))
            );
        }
        if !is_quantised {
            let n = n_rows.saturating_mul(n_columns);
            let weights = reader.floats(n, &format!("the {name} matrix"))?;
            return Ok(Self::Dense(Dense { n_rows, n_columns, weights }));
        }
        let n_codes = reader.size(&format!("the number of codes of the {name} matrix"), 0)?;
        let codes = reader.codes(n_codes, &format!("the codes of the {name} matrix"))?;
        let parts = Codebooks::read(reader, n_columns)?;
        if parts.n_parts.saturating_mul(n_rows) != n_codes {
            let n_parts = parts.n_parts;
            return Err(reader.broken(&format!("{n_codes} codes are not {n_parts} for each of {n_rows} rows")));
        }
        let lengths = if has_lengths {
            let codes = reader.codes(n_rows, &format!("the lengths of the {name} matrix"))?;
            Some((codes, Codebooks::read(reader, 1)?))
        } else {
            None
        };
        Ok(Self::Quantised(Quantised { n_rows, n_columns, codes, parts, lengths }))
    }

    pub(super) fn n_rows(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.n_rows,
            Self::Quantised(matrix) => matrix.n_rows,
        }
    }

    pub(super) fn n_columns(&self) -> usize {
        match self {
            Self::Dense(matrix) => matrix.n_columns,
            Self::Quantised(matrix) => matrix.n_columns,
        }
    }

    /// Adds a row to a vector.
    pub(super) fn add_row(&self, row: usize, vector: &mut [f32]) {
        match self {
            Self::Dense(matrix) => {
                for (sum, weight) in vector.iter_mut().zip(matrix.row(row)) {
                    *sum += weight;
                }
            }
            Self::Quantised(matrix) if matrix.parts.width == 2 => matrix.add_row_of_pairs(row, vector),
            Self::Quantised(matrix) => {
                let length = matrix.length(row);
                for (part, weights) in vector.chunks_mut(matrix.parts.width).zip(matrix.row(row)) {
                    for (sum, weight) in part.iter_mut().zip(weights) {
                        *sum += length * weight;
                    }
                }
            }
        }
    }

    /// The product of a row and a vector, summed up from the first column to the last.
    pub(super) fn dot_row(&self, row: usize, vector: &[f32]) -> f32 {
        match self {
            Self::Dense(matrix) => matrix.row(row).iter().zip(vector).fold(0.0, |sum, (weight, x)| sum + weight * x),
            Self::Quantised(matrix) => {
                let mut sum = 0.0;
                for (part, weights) in vector.chunks(matrix.parts.width).zip(matrix.row(row)) {
                    for (x, weight) in part.iter().zip(weights) {
                        sum += x * weight;
                    }
                }
                sum * matrix.length(row)
            }
        }
    }

    /// Appends the products of all rows and a vector.
    pub(super) fn dot_rows(&self, vector: &[f32], products: &mut Vec<f32>) {
        let n_rows = self.n_rows();
        products.reserve(n_rows);
        let mut row = 0;
        if let Self::Dense(matrix) = self {
            while row + AT_ONCE <= n_rows {
                products.extend(matrix.dot_some(row, vector));
                row += AT_ONCE;
            }
        }
        products.extend((row..n_rows).map(|row| self.dot_row(row, vector)));
    }
}

impl Dense {
    fn row(&self, row: usize) -> &[f32] {
        &self.weights[row * self.n_columns..][..self.n_columns]
    }

    /// The products of some neighbouring rows. Each sum must be made in order, but several can be under way at once.
    fn dot_some(&self, first: usize, vector: &[f32]) -> [f32; AT_ONCE] {
        let rows: [&[f32]; AT_ONCE] = std::array::from_fn(|i| &self.row(first + i)[..vector.len()]);
        let mut sums = [0.0; AT_ONCE];
        for (column, x) in vector.iter().enumerate() {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += row[column] * x;
            }
        }
        sums
    }
}

impl Quantised {
    /// The weights of a row, part by part, but for its length.
    fn row(&self, row: usize) -> impl Iterator<Item = &[f32]> {
        let n_parts = self.parts.n_parts;
        let codes = &self.codes[row * n_parts..][..n_parts];
        codes.iter().enumerate().map(|(part, &code)| self.parts.weights(part, code, self.n_columns))
    }

    /// Adds a row to a vector, where a code stands for two weights: fastText's default, and most of the work there is.
    fn add_row_of_pairs(&self, row: usize, vector: &mut [f32]) {
        let length = self.length(row);
        let codes = &self.codes[row * self.parts.n_parts..][..self.parts.n_parts];
        let (pairs, last) = vector.as_chunks_mut();
        let (books, last_book) = self.parts.weights.as_chunks::<{ 2 * N_CODES }>();
        for (([x, y], book), &code) in pairs.iter_mut().zip(books).zip(codes) {
            let at = 2 * usize::from(code);
            *x += length * book[at];
            *y += length * book[at + 1];
        }
        if let ([x], Some(&code)) = (last, codes.last()) {
            *x += length * last_book[usize::from(code)];
        }
    }

    fn length(&self, row: usize) -> f32 {
        self.lengths.as_ref().map_or(1.0, |(codes, book)| book.weights(0, codes[row], 1)[0])
    }
}

impl Codebooks {
    fn read(reader: &mut Reader<impl BufRead>, n_columns: usize) -> Result<Self, String> {
        let [dim, n_parts, width, last_width] = [
            reader.size("the dimension of a codebook", 1)?,
            reader.size("the parts of a codebook", 1)?,
            reader.size("the width of a codebook's parts", 1)?,
            reader.size("the width of a codebook's last part", 1)?,
        ];
        let rest = n_columns - (n_columns - 1) / width * width;
        if dim != n_columns || n_parts != n_columns.div_ceil(width) || last_width != rest {
            return Err(reader.broken(&format!(
                "a codebook of {dim} columns in {n_parts} parts of {width}, the last of {last_width}, is not one of {n_columns} columns"
            )));
        }
        let weights = reader.floats(dim.saturating_mul(N_CODES), "a codebook")?;
        Ok(Self { width, n_parts, weights })
    }

    /// What a code stands for in a part of a row of `n_columns`.
    fn weights(&self, part: usize, code: u8, n_columns: usize) -> &[f32] {
        let width = self.width.min(n_columns - part * self.width);
        let book = part * self.width * N_CODES;
        &self.weights[book + usize::from(code) * width..][..width]
    }
}
