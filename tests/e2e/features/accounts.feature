Feature: Accounts
  People sign up, log in and out, keep their password to themselves, and leave when they want to.

  Scenario: Somebody new signs up
    When Nia signs up
    Then Nia is logged in
    And Nia's home is empty
    And Nia has 0 followers
    And nobody else can take Nia's name

  Scenario: Logging out ends what this log-in may do
    When Ada logs out
    Then Ada has to log in
    When Ada logs in
    Then Ada is logged in

  Scenario: A new password ends all log-ins
    When Ada changes the password
    Then Ada has to log in
    And the old password of Ada is refused
    When Ada logs in
    Then Ada is logged in

  Scenario: Who guesses passwords is stopped, and who owns the account is not
    Given Nia signs up
    When somebody guesses Nia's password until told to stop
    Then Nia is logged in
    And Nia posts "still here"

  Scenario: Whoever deletes the account is gone
    Given Nia signs up
    And Bob follows Nia
    And Nia posts "good bye"
    And Bob's home shows "good bye"
    When Nia deletes the account
    Then Nia has to log in
    And Bob can't find Nia
    And Bob can't find "good bye"
    And Bob's home is empty
