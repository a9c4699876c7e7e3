def words(text):
    return [word.strip(".,").lower() for word in text.split()]
