Feature: Reading
  The home timeline has what those whom one follows have posted, newest first, and all of it.

  Scenario: Following brings tweets, old and new
    Given Ada posts "before anybody followed me"
    When Bob follows Ada
    Then Bob's home shows "before anybody followed me"
    And Ada has 1 follower
    When Ada posts "hello, Bob"
    Then Bob's home shows "hello, Bob", "before anybody followed me"

  Scenario: Unfollowing takes them away
    Given Bob follows Ada
    And Bob follows Cyd
    And Ada posts "from Ada"
    And Cyd posts "from Cyd"
    And Bob's home shows "from Cyd", "from Ada"
    When Bob no longer follows Ada
    Then Bob's home shows "from Cyd"
    And Ada has 0 followers
    And Bob sees "from Ada" on Ada's page

  Scenario: One's own tweet is in one's home at once
    When Ada posts "what I think"
    Then Ada's home shows "what I think" at once

  Scenario: A tweet is as long as it may be
    When Ada posts 280 characters
    Then Ada can't post 281 characters

  Scenario: Catching up after a while
    Given Bob follows Ada
    And Bob follows Cyd
    And Ada posts "the last thing Bob read"
    And Bob has read "the last thing Bob read"
    When Ada posts "first news"
    And Cyd posts "second news"
    And Ada posts "third news"
    And Cyd deletes "second news"
    And Ada deletes "the last thing Bob read"
    Then Bob catches up with "first news", "third news"
    And Bob learns that "the last thing Bob read" is gone
    And Bob's home shows "third news", "first news"

  Scenario: Paging back to the very first tweet
    Given Bob follows Ada
    When Ada posts 45 tweets
    Then Bob's home has 45 tweets
    And Bob pages back from the last of them to the first, 10 at a time
