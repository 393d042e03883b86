Feature: Sharing
  People like and retweet what others have posted, and take it back; authors delete what they wrote.

  Background:
    Given Bob follows Ada
    And Cyd follows Bob
    And Ada posts "worth reading"
    And Bob's home shows "worth reading"

  Scenario: Liking
    When Bob likes "worth reading"
    And Cyd likes "worth reading"
    And Cyd likes "worth reading"
    Then Ada sees "worth reading" with 2 likes and 0 retweets
    When Cyd no longer likes "worth reading"
    Then Ada sees "worth reading" with 1 like and 0 retweets

  Scenario: A retweet brings a tweet to one's own followers
    When Bob retweets "worth reading"
    Then Cyd's home shows "worth reading"
    And Ada sees "worth reading" with 0 likes and 1 retweet
    When Bob no longer retweets "worth reading"
    Then Cyd's home is empty
    And Ada sees "worth reading" with 0 likes and 0 retweets

  Scenario: A bookmark is for oneself
    When Bob bookmarks "worth reading"
    Then Bob has bookmarked "worth reading"
    And Ada has no bookmarks
    When Bob no longer bookmarks "worth reading"
    Then Bob has no bookmarks

  Scenario: A deleted tweet is gone everywhere
    Given Bob retweets "worth reading"
    And Cyd's home shows "worth reading"
    When Ada deletes "worth reading"
    Then Bob can't find "worth reading"
    And Bob's home is empty
    And Cyd's home is empty

  Scenario: Nobody deletes what another wrote
    Then Bob may not delete "worth reading"
    And Bob's home shows "worth reading"
