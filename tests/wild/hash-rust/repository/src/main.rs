mod hash;

fn main() {
    let mut buckets = vec![0u32; 4096];
    let mut collisions = 0;
    for number in 0..2000u32 {
        let key = format!("k{}-{}", number % 40, number / 40);
        let bucket = &mut buckets[(hash::hash(key.as_bytes()) % 4096) as usize];
        if *bucket > 0 {
            collisions += 1;
        }
        *bucket += 1;
    }
    println!("keys: 2000");
    println!("collisions: {}", collisions);
}
